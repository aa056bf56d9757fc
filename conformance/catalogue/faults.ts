/** What a touch does, and what takes its place. */
import { MapFlag, Prot } from '../calls.js';
import {
  absolute,
  by,
  bytesFrom,
  fork,
  load,
  lock,
  map,
  mapAnywhere,
  remapFile,
  slot,
  store,
  truncate,
} from '../writing.js';
import type { Theme } from './theme.js';

const { PROT_NONE, PROT_READ } = Prot;

export const faults: Theme = {
  'an access beside a mapping': [map(1, 1), load(0), load(2), store(2)],
  'a file is mapped around a read fault': [
    map(0, 24, { backing: 'disk', prot: PROT_READ }),
    load(20),
    load(3),
  ],
  'fault-around stays in the area and the file': [
    map(3, 4, { backing: 'disk', prot: PROT_READ, pgoff: 3 }),
    load(4),
    map(20, 10, { backing: 'disk', prot: PROT_READ, pgoff: 18 }),
    load(21),
  ],
  'a private file page is copied by a write': [
    map(0, 4, { backing: 'disk' }),
    store(1, 5),
    load(0),
    store(0, 6),
    map(8, 4, { backing: 'disk', shared: true }),
    load(8),
    load(9),
  ],
  'a write through a shared mapping is seen by a private one': [
    map(0, 4, { backing: 'memory' }),
    map(8, 4, { backing: 'memory', shared: true }),
    load(0),
    store(8, 5),
    load(0),
    store(0, 6),
    store(8, 7),
    load(0),
  ],
  'SIGBUS beyond the end of a file': [
    map(0, 6, { backing: 'disk', pgoff: 22 }),
    load(1),
    load(2),
    store(3),
    map(8, 6, { backing: 'memory', pgoff: 22, shared: true }),
    store(9),
    store(10),
    load(11),
  ],
  'a page that an area holds beyond the end of a file cannot be copied': [
    map(0, 4, { backing: 'disk', pgoff: 24 }),
    store(0),
    store(1),
  ],
  'reading anonymous memory maps the zero page': [map(0, 4), load(0), load(1), store(0), load(0)],
};

export const truncation: Theme = {
  'what a file loses is unmapped, private copies too': [
    map(0, 8, { backing: 'memory' }),
    map(8, 8, { backing: 'memory', shared: true }),
    store(1, 5),
    load(2),
    store(9, 6),
    truncate(1),
    load(1),
    load(9),
    load(8),
  ],
  'a file that grows again has zeros': [
    map(0, 8, { backing: 'memory', shared: true }),
    store(3, 5),
    truncate(2),
    truncate(6),
    load(3),
    store(4),
    load(7),
  ],
  'copies of a child go with the end of the file': [
    map(0, 4, { backing: 'memory' }),
    store(2, 5),
    fork,
    ...by(1, store(2, 6)),
    truncate(2),
    load(2),
    ...by(1, load(2), load(1)),
  ],
  'locked pages go too': [
    map(0, 4, { backing: 'memory', flags: MapFlag.MAP_LOCKED }),
    truncate(2),
    load(2),
    lock(0, 4),
  ],
};

export const stacks: Theme = {
  'a touch below makes a stack grow': [
    map(20, 2, { flags: MapFlag.MAP_GROWSDOWN }),
    store(19),
    store(10),
    load(21),
  ],
  'a stack keeps a guard gap to what is below': [
    map({ base: 'huge', offset: 0 }, 1),
    map({ base: 'huge', offset: 300 * 4096 }, 2, { flags: MapFlag.MAP_GROWSDOWN }),
    store({ base: 'huge', offset: 290 * 4096 }),
    store({ base: 'huge', offset: 258 * 4096 }),
    store({ base: 'huge', offset: 257 * 4096 }),
    store({ base: 'huge', offset: 256 * 4096 }),
    store({ base: 'huge', offset: 100 * 4096 }),
  ],
  'an inaccessible area below needs no gap': [
    map(0, 4, { prot: PROT_NONE }),
    map(20, 2, { flags: MapFlag.MAP_GROWSDOWN }),
    store(10),
    store(5),
    store(4),
    store(3),
  ],
  'a stack is not larger than its limit': [
    map({ base: 'huge', offset: 1000 * 4096 }, 1, { flags: MapFlag.MAP_GROWSDOWN }),
    store(absolute(0x20_0000_0000 - 900 * 4096)),
    store(absolute(0x20_0000_0000 - 1100 * 4096)),
  ],
  'a stack grows even by a write that it then refuses': [
    map(20, 2, { flags: MapFlag.MAP_GROWSDOWN, prot: PROT_READ }),
    store(19),
    load(18),
  ],
  'the kernel leaves room below a stack': [
    mapAnywhere(2, { flags: MapFlag.MAP_GROWSDOWN, into: 0 }),
    mapAnywhere(2, { into: 1 }),
    mapAnywhere(2, { into: 2, prot: PROT_READ }),
    map(slot(0, -4), 2, { fixed: false, prot: PROT_NONE }),
  ],
  'a stack under a stack of the same kind': [
    map(20, 2, { flags: MapFlag.MAP_GROWSDOWN }),
    map(18, 2, { flags: MapFlag.MAP_GROWSDOWN }),
    store(17),
    store(10),
  ],
};

export const populates: Theme = {
  'MAP_POPULATE of each kind': [
    map(0, 4, { flags: MapFlag.MAP_POPULATE }),
    map(4, 4, { flags: MapFlag.MAP_POPULATE, prot: PROT_READ }),
    map(8, 4, { flags: MapFlag.MAP_POPULATE, prot: PROT_NONE }),
    map(12, 4, { flags: MapFlag.MAP_POPULATE, shared: true }),
    map(16, 20, { flags: MapFlag.MAP_POPULATE, backing: 'disk' }),
    map(36, 20, { flags: MapFlag.MAP_POPULATE, backing: 'disk', prot: PROT_READ }),
  ],
  'MAP_POPULATE of shared files': [
    map(0, 20, { flags: MapFlag.MAP_POPULATE, backing: 'disk', shared: true }),
    store(1),
    map(20, 20, { flags: MapFlag.MAP_POPULATE, backing: 'memory', shared: true }),
    store(21),
  ],
  'MAP_POPULATE with MAP_NONBLOCK does nothing': [
    map(0, 4, { flags: MapFlag.MAP_POPULATE | MapFlag.MAP_NONBLOCK }),
  ],
  'MAP_POPULATE stops at the end of a file': [
    map(0, 6, { flags: MapFlag.MAP_POPULATE, backing: 'disk', pgoff: 22 }),
    map(8, 6, { flags: MapFlag.MAP_POPULATE, backing: 'memory', pgoff: 22, shared: true }),
  ],
};

export const fileRemaps: Theme = {
  'remap_file_pages maps another part of the file': [
    map(0, 8, { backing: 'memory', shared: true }),
    store(2),
    remapFile(2, 2, 6),
    load(2),
    remapFile(4, 2, 0, MapFlag.MAP_NONBLOCK),
  ],
  'remap_file_pages: errors': [
    map(0, 4, { backing: 'memory', shared: true }),
    map(8, 4, { backing: 'memory' }),
    map(16, 4),
    remapFile(0, 2, 6, 0, PROT_READ),
    remapFile(8, 2, 6),
    remapFile(16, 2, 6),
    remapFile(30, 2, 6),
    remapFile(0, 0, 6),
    remapFile(2, 4, 6),
    remapFile(bytesFrom(0, 1), 2, 6),
  ],
};
