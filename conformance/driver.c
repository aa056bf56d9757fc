/*
 * driver DIRECTORY: does to the kernel what sequences of calls say, and reports after each call.
 *
 * Standard input has sequences, each a 32-bit count and that many `struct step`. Each runs in a fresh process;
 * its forks make further ones. All processes have the whole sequence and take turns: who has done a step sends
 * the number of the next one to the process that is to do it. An exit is waited for by the server, which then
 * sends the number on, so that the memory is gone when the next step begins.
 *
 * Standard output has, for each step, a line "PROCESS RESULT MINOR-FAULTS MAJOR-FAULTS [EXTRA]", a line for each
 * area of /proc/self/maps that the sequence made, and a line ".". What was mapped before the sequence is hidden.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define MAX_STEPS 1024
#define MAX_PROCESSES 4
#define MAX_HIDDEN 32
#define SLOTS 6
#define STACK_LIMIT (8UL << 20)

/* Pages of one area whose state or contents are told. */
#define MAX_AREA_PAGES 2048

/* Shared with calls.ts: steps that are no system call, kinds of argument, files, and the start of slots. */
enum { OP_LOAD = 1000, OP_STORE, OP_FORK, OP_EXIT, OP_LOOK, OP_CONTENTS };
enum { BASE_NONE = 0, BASE_SLOT = 1, BASE_HEAP = 7, BASE_VECTOR = 8 };
enum { DISK_FD = 100, MEMORY_FD = 101, FILE_PAGES = 24, NO_SLOT = 255 };
#define EMPTY_SLOT 0x3000000000UL
#define DISK_MARK 0x10000
#define MEMORY_MARK 0x20000

struct step {
	uint16_t op; /* a system call's number, or OP_ */
	uint8_t process;
	uint8_t into;  /* slot that receives the result; NO_SLOT = none */
	uint8_t child; /* of OP_FORK */
	uint8_t bases[6];
	uint8_t unused[5];
	uint64_t args[6];
};

struct range {
	unsigned long start, end;
	char perms[5];
};

static struct step steps[MAX_STEPS];
static int nr_steps;
static struct range hidden[MAX_HIDDEN];
static int nr_hidden;
static unsigned long heap;
static unsigned long slots[SLOTS];
static int turns[MAX_PROCESSES][2];
static int maps_fd = -1, pagemap_fd = -1;
static unsigned long disk_inode, memory_inode;
static char maps_text[1 << 16];
static uint64_t pagemap[MAX_AREA_PAGES];
static unsigned char vector[1 << 12];
static char out[1 << 17];
static size_t out_bytes;
static sigjmp_buf after_signal;
static volatile sig_atomic_t touching, signal_number, signal_code;

static void die(const char *what)
{
	dprintf(2, "driver: %s: %s\n", what, strerror(errno));
	exit(3);
}

static void flush(void)
{
	for (size_t done = 0; done < out_bytes;) {
		ssize_t bytes = write(1, out + done, out_bytes - done);
		if (bytes < 0)
			die("write");
		done += bytes;
	}
	out_bytes = 0;
}

static void put(const char *text)
{
	size_t bytes = strlen(text);
	memcpy(out + out_bytes, text, bytes);
	out_bytes += bytes;
}

static void put_number(const char *format, long number)
{
	out_bytes += snprintf(out + out_bytes, 32, format, number);
}

/* A list of values as runs: "5*12,0". */
struct runs {
	long value;
	long length;
	int started;
};

static void end_run(struct runs *runs)
{
	if (runs->length == 0)
		return;
	put(runs->started ? "," : "");
	put(runs->value < 0 ? "-" : "");
	put_number("%lx", labs(runs->value));
	if (runs->length > 1)
		put_number("*%ld", runs->length);
	runs->started = 1;
	runs->length = 0;
}

static void add_to_runs(struct runs *runs, long value)
{
	if (runs->length > 0 && runs->value != value)
		end_run(runs);
	runs->value = value;
	runs->length++;
}

/* One line of /proc/self/maps. */
struct area {
	struct range range;
	unsigned long offset, inode;
	const char *name;
};

static unsigned long parse_number(const char **text, int base)
{
	char *end;
	unsigned long number = strtoul(*text, &end, base);
	*text = end + 1;
	return number;
}

/* Cuts the line off the text and returns what follows it. */
static char *parse_area(char *line, struct area *area)
{
	char *end = strchr(line, '\n');
	*end = 0;
	const char *text = line;
	area->range.start = parse_number(&text, 16);
	area->range.end = parse_number(&text, 16);
	memcpy(area->range.perms, text, 4);
	area->range.perms[4] = 0;
	text += 5;
	area->offset = parse_number(&text, 16);
	text = strchr(text, ' ') + 1;
	area->inode = strtoul(text, (char **)&text, 10);
	area->name = text + strspn(text, " ");
	return end + 1;
}

static void read_maps(void)
{
	size_t bytes = 0;
	for (;;) {
		ssize_t got = pread(maps_fd, maps_text + bytes, sizeof(maps_text) - 1 - bytes, bytes);
		if (got < 0)
			die("/proc/self/maps");
		if (got == 0)
			break;
		bytes += got;
	}
	maps_text[bytes] = 0;
}

static int is_hidden(unsigned long address)
{
	for (int i = 0; i < nr_hidden; i++)
		if (hidden[i].start <= address && address < hidden[i].end)
			return 1;
	return 0;
}

static const char *backing_of(const struct area *area)
{
	if (area->inode == 0)
		return *area->name ? area->name : "anon";
	if (area->inode == disk_inode)
		return "disk";
	if (area->inode == memory_inode)
		return "memory";
	return "shared-anon";
}

static unsigned long pages_told(const struct area *area)
{
	unsigned long pages = (area->range.end - area->range.start) / PAGE;
	return pages < MAX_AREA_PAGES ? pages : MAX_AREA_PAGES;
}

/*
 * What pagemap and mincore tell of each page, as a hexadecimal digit: 1 present, 2 a file's or shared memory,
 * 4 mapped here alone, 8 resident. Bits of pagemap: Documentation/admin-guide/mm/pagemap.rst.
 */
static void put_pages(const struct area *area)
{
	unsigned long pages = pages_told(area);
	size_t bytes = pages * sizeof(pagemap[0]);
	if (pread(pagemap_fd, pagemap, bytes, area->range.start / PAGE * 8) != (ssize_t)bytes)
		die("/proc/self/pagemap");
	if (mincore((void *)area->range.start, pages * PAGE, vector))
		die("mincore");
	struct runs runs = { 0 };
	for (unsigned long i = 0; i < pages; i++) {
		int present = pagemap[i] >> 63, file = pagemap[i] >> 61 & 1, exclusive = pagemap[i] >> 56 & 1;
		add_to_runs(&runs, present | file << 1 | exclusive << 2 | (vector[i] & 1) << 3);
	}
	end_run(&runs);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (!touching)
		_exit(4);
	signal_number = number;
	signal_code = info->si_code;
	siglongjmp(after_signal, 1);
}

/* Accesses a word. @returns whether it could be */
static int touch_word(unsigned long address, int write, int *value)
{
	int done = 0;
	touching = 1;
	if (!sigsetjmp(after_signal, 0)) {
		if (write)
			*(volatile int *)address = *value;
		else
			*value = *(volatile int *)address;
		done = 1;
	}
	touching = 0;
	return done;
}

/* The first two words of each page; the signal's number, negated, where it cannot be read. */
static void put_contents(const struct area *area)
{
	unsigned long pages = pages_told(area);
	struct runs runs = { 0 };
	for (unsigned long i = 0; i < pages; i++) {
		unsigned long address = area->range.start + i * PAGE;
		int first = 0, second = 0;
		if (touch_word(address, 0, &first) && touch_word(address + 4, 0, &second))
			add_to_runs(&runs, (long)(uint32_t)second << 32 | (uint32_t)first);
		else
			add_to_runs(&runs, -(long)signal_number);
	}
	end_run(&runs);
}

static void put_areas(int contents)
{
	read_maps();
	for (char *line = maps_text; *line;) {
		struct area area;
		line = parse_area(line, &area);
		if (is_hidden(area.range.start) || !strcmp(area.name, "[vsyscall]"))
			continue;
		if (out_bytes > sizeof(out) / 2)
			flush();
		put_number("%lx", area.range.start);
		put_number("-%lx ", area.range.end);
		put(area.range.perms);
		put_number(" %lx ", area.offset);
		put(backing_of(&area));
		put(" ");
		if (!contents)
			put_pages(&area);
		else if (area.range.perms[0] == 'r')
			put_contents(&area);
		put("\n");
	}
	put(".\n");
}

/* Makes this process's own pages its own, so that they never fault while a call is measured. */
static void touch_own_pages(void)
{
	for (int i = 0; i < nr_hidden; i++) {
		for (unsigned long page = hidden[i].start; page < hidden[i].end; page += PAGE) {
			volatile char *byte = (volatile char *)page;
			char value = *byte;
			if (hidden[i].perms[1] == 'w')
				*byte = value;
		}
	}
}

static void open_proc_files(void)
{
	close(maps_fd);
	close(pagemap_fd);
	maps_fd = open("/proc/self/maps", O_RDONLY);
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
	if (maps_fd < 0 || pagemap_fd < 0)
		die("/proc/self");
}

static unsigned long argument(const struct step *step, int i)
{
	unsigned long value = step->args[i];
	unsigned base = step->bases[i];
	if (base == BASE_NONE)
		return value;
	if (base == BASE_HEAP)
		return heap + value;
	if (base == BASE_VECTOR)
		return (unsigned long)vector;
	return slots[base - BASE_SLOT] + value;
}

/* A raw system call: glibc's own would change errno, and brk's result. */
static long system_call(const struct step *step, const unsigned long *args)
{
	register long r10 asm("r10") = args[3];
	register long r8 asm("r8") = args[4];
	register long r9 asm("r9") = args[5];
	long result;
	asm volatile("syscall"
		     : "=a"(result)
		     : "a"((long)step->op), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return result;
}

static void do_step(const struct step *step)
{
	unsigned long args[6];
	struct rusage before, after;
	int value = (int)step->args[1], touched = 1;
	long result = 0;
	for (int i = 0; i < 6; i++)
		args[i] = argument(step, i);
	if (step->op == SYS_mincore)
		memset(vector, 0, sizeof(vector));
	getrusage(RUSAGE_SELF, &before);
	if (step->op == OP_LOAD || step->op == OP_STORE)
		touched = touch_word(args[0], step->op == OP_STORE, &value);
	else if (step->op < OP_LOAD)
		result = system_call(step, args);
	getrusage(RUSAGE_SELF, &after);
	if (step->op == OP_LOAD)
		result = value;
	put_number("%ld ", step->process);
	if (touched)
		put_number("%ld", result);
	else
		put(signal_number == SIGBUS ? "SIGBUS" : "SIGSEGV");
	put_number(" %ld", after.ru_minflt - before.ru_minflt);
	put_number(" %ld", after.ru_majflt - before.ru_majflt);
	if (!touched)
		put_number(" %ld", signal_code);
	if (step->op == SYS_mincore && result == 0 && args[1] > 0) {
		struct runs runs = { 0 };
		put(" ");
		for (unsigned long i = 0; i < (args[1] + PAGE - 1) / PAGE; i++)
			add_to_runs(&runs, vector[i] & 1);
		end_run(&runs);
	}
	put("\n");
	if (step->into != NO_SLOT && (unsigned long)result < -PAGE)
		slots[step->into] = result;
	put_areas(step->op == OP_CONTENTS);
}

static void give_turn(int step)
{
	if (write(turns[steps[step].process][1], &step, sizeof(step)) != sizeof(step))
		die("turn");
}

static int await_turn(int process)
{
	int step;
	if (read(turns[process][0], &step, sizeof(step)) != sizeof(step))
		die("turn");
	return step;
}

/* @returns whether this is the child, which must wait for its turn */
static int do_fork(const struct step *step)
{
	flush();
	/* With CLONE_PARENT the server waits for all processes alike. */
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		die("fork");
	touch_own_pages();
	if (pid == 0) {
		open_proc_files();
		return 1;
	}
	do_step(step);
	return 0;
}

/* The life of one process of a sequence; the last step of all is an exit. */
static void run_process(int process)
{
	for (int step = await_turn(process);;) {
		if (steps[step].op == OP_EXIT) {
			flush();
			_exit(0);
		}
		if (steps[step].op != OP_FORK) {
			do_step(&steps[step]);
		} else if (do_fork(&steps[step])) {
			process = steps[step].child;
			step = await_turn(process);
			continue;
		}
		step++;
		if (steps[step].process != process) {
			flush();
			give_turn(step);
			step = await_turn(process);
		}
	}
}

static int filled(int fd, int mark)
{
	static int page[PAGE / sizeof(int)];
	if (fd < 0)
		die("file");
	for (int index = 0; index < FILE_PAGES; index++) {
		page[0] = mark + index;
		page[1] = mark;
		/* A page at a time: then the page cache has single pages. */
		if (pwrite(fd, page, PAGE, index * PAGE) != PAGE)
			die("pwrite");
	}
	return fd;
}

/* Gives a file its number in the processes of a sequence. */
static unsigned long install(int fd, int as)
{
	struct stat status;
	if (dup2(fd, as) < 0 || fstat(fd, &status))
		die("file");
	close(fd);
	return status.st_ino;
}

static void run_sequence(const char *directory)
{
	disk_inode = install(filled(open(directory, O_TMPFILE | O_RDWR, 0600), DISK_MARK), DISK_FD);
	memory_inode = install(filled(memfd_create("memory", 0), MEMORY_MARK), MEMORY_FD);
	int live = 0, step = 0;
	for (int i = 0; i < nr_steps; i++)
		live += steps[i].op == OP_EXIT;
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		for (int i = 0; i < SLOTS; i++)
			slots[i] = EMPTY_SLOT;
		touch_own_pages();
		open_proc_files();
		run_process(steps[0].process);
	}
	give_turn(0);
	for (; live > 0; live--) {
		int status;
		if (waitpid(-1, &status, 0) < 0)
			die("wait");
		if (status != 0) {
			dprintf(2, "driver: a process ended with status 0x%x\n", status);
			kill(0, SIGKILL);
		}
		while (steps[step].op != OP_EXIT)
			step++;
		if (++step < nr_steps)
			give_turn(step);
	}
}

static void read_all(void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t got = read(0, (char *)to + done, bytes - done);
		if (got < 0)
			die("read");
		if (got == 0)
			exit(0);
		done += got;
	}
}

/* No randomized addresses, and the mmap base that goes with a stack of 8 MiB. */
static void settle(char **argv)
{
	struct rlimit stack;
	int persona = personality(0xffffffff);
	getrlimit(RLIMIT_STACK, &stack);
	if ((persona & ADDR_NO_RANDOMIZE) && stack.rlim_cur == STACK_LIMIT)
		return;
	stack.rlim_cur = STACK_LIMIT;
	if (setrlimit(RLIMIT_STACK, &stack) || personality(persona | ADDR_NO_RANDOMIZE) < 0)
		die("personality");
	execv("/proc/self/exe", argv);
	die("exec");
}

/* The vdso is not used, and would lie where the kernel places the first mapping of a sequence. */
static void hide_own_areas(void)
{
	heap = ((unsigned long)sbrk(0) + PAGE - 1) & -PAGE;
	if (brk((void *)heap))
		die("brk");
	open_proc_files();
	read_maps();
	for (char *line = maps_text; *line;) {
		struct area area;
		line = parse_area(line, &area);
		if (!strncmp(area.name, "[v", 2)) {
			munmap((void *)area.range.start, area.range.end - area.range.start);
			continue;
		}
		if (nr_hidden == MAX_HIDDEN)
			die("too many areas");
		hidden[nr_hidden++] = area.range;
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	settle(argv);
	setsid();
	hide_own_areas();
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	for (int i = 0; i < MAX_PROCESSES; i++)
		if (pipe(turns[i]))
			die("pipe");
	put_number("%lx\n", heap);
	for (int i = 0; i < nr_hidden; i++) {
		put_number("%lx", hidden[i].start);
		put_number("-%lx\n", hidden[i].end);
	}
	put(".\n");
	flush();
	for (;;) {
		uint32_t count;
		read_all(&count, sizeof(count));
		if (count > MAX_STEPS)
			return 2;
		nr_steps = count;
		read_all(steps, count * sizeof(struct step));
		run_sequence(argv[1]);
	}
}
