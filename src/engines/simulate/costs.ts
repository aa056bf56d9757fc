import type { ArchName } from '../../hardware/arch/index.js';

/**
 * What things cost on a simulated machine, as data. All times in nanoseconds.
 *
 * These are not yet fitted to anything: what the simulator prints from them is labelled so.
 */
export interface MachineCosts {
  readonly name: string;
  readonly source: string;
  /** An access to a line that the CPU holds. */
  readonly hitNs: number;
  /** Extra for an atomic operation on a line that the CPU holds. */
  readonly atomicNs: number;
  /** Moving a line between two CPUs of one node. */
  readonly sameNodeNs: number;
  /** Moving a line between nodes, per router hop; see `hops`. */
  readonly firstHopNs: number;
  readonly hopNs: number;
  /** Added to a lock's hand-over for each other CPU that spins on it. */
  readonly spinnerNs: number;
  /** Zeroing a page of the CPU's own node. */
  readonly zeroPageNs: number;
  /** Factor where the page lies on another node. */
  readonly remotePage: number;
  readonly copyPageNs: number;
  /** Reading or writing a page of a device. */
  readonly deviceNs: number;
  /** Requests that the device serves at once; others wait. */
  readonly deviceRequests: number;
  readonly trapEnterNs: number;
  readonly trapExitNs: number;
  readonly syscallNs: number;
  /** Work in user mode between two touches. */
  readonly userNs: number;
  /** An inter-processor interrupt, sent and answered. */
  readonly ipiNs: number;
}

/** The ia64 machine of the documents' tables, 16 KiB pages: starting values of the prototype's fit. */
const ia64: MachineCosts = {
  name: 'ia64-8',
  source: 'starting values for the fit to the tables of SPEC S5; 16 KiB pages, 2 CPUs a node',
  hitNs: 5,
  atomicNs: 15,
  sameNodeNs: 250,
  firstHopNs: 450,
  hopNs: 100,
  spinnerNs: 100,
  zeroPageNs: 9000,
  remotePage: 1.45,
  copyPageNs: 12000,
  deviceNs: 100_000,
  deviceRequests: 1,
  trapEnterNs: 400,
  trapExitNs: 280,
  syscallNs: 500,
  userNs: 50,
  ipiNs: 2000,
};

/** A two-socket x86 machine of today, round figures. */
const x86: MachineCosts = {
  name: 'x86',
  source: 'round figures for a two-socket server, not measured',
  hitNs: 1,
  atomicNs: 6,
  sameNodeNs: 50,
  firstHopNs: 130,
  hopNs: 60,
  spinnerNs: 20,
  zeroPageNs: 250,
  remotePage: 1.6,
  copyPageNs: 400,
  deviceNs: 80_000,
  deviceRequests: 8,
  trapEnterNs: 250,
  trapExitNs: 150,
  syscallNs: 150,
  userNs: 10,
  ipiNs: 1500,
};

/** Costs that go with an architecture until a machine is named. Those that have none of their own have x86's. */
export const COSTS_BY_ARCH: Readonly<Record<ArchName, MachineCosts>> = {
  i386: x86,
  'i386-pae': x86,
  x86_64: x86,
  ia64,
  ppc64: x86,
  sparc64: x86,
  s390: x86,
  'riscv-sv39': x86,
  'riscv-sv48': x86,
};

/** Router hops between two nodes: nodes stand on a line of routers, eight nodes to a router. */
export function hops(a: number, b: number): number {
  return a === b ? 0 : 1 + Math.abs((a >> 3) - (b >> 3));
}
