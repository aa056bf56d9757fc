/*
 * hostFault PAGES THREADS ROUNDS: what the host kernel takes for the touches that the benchmark makes in
 * our VM. Each round maps PAGES pages, THREADS threads write to a word of each page of their share, and the
 * mapping goes. Prints the wall nanoseconds per fault of each round, touches only, one a line.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE_BYTES 4096L

static pthread_barrier_t start_barrier;

struct share {
	char *base;
	long pages;
	double start_ns;
	double end_ns;
};

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

static void *touch(void *arg)
{
	struct share *share = arg;
	pthread_barrier_wait(&start_barrier);
	share->start_ns = now_ns();
	for (long page = 0; page < share->pages; page++)
		*(volatile int *)(share->base + page * PAGE_BYTES) = (int)page;
	share->end_ns = now_ns();
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	long pages = atol(argv[1]);
	int threads = atoi(argv[2]);
	int rounds = atoi(argv[3]);
	struct share shares[64];
	pthread_t ids[64];
	if (threads < 1 || threads > 64)
		return 2;
	for (int round = 0; round < rounds; round++) {
		char *base = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (base == MAP_FAILED)
			return 1;
		madvise(base, pages * PAGE_BYTES, MADV_NOHUGEPAGE);
		pthread_barrier_init(&start_barrier, NULL, threads);
		for (int i = 0; i < threads; i++) {
			shares[i].base = base + pages / threads * i * PAGE_BYTES;
			shares[i].pages = pages / threads;
			pthread_create(&ids[i], NULL, touch, &shares[i]);
		}
		double first = 1e300, last = 0;
		for (int i = 0; i < threads; i++) {
			pthread_join(ids[i], NULL);
			if (shares[i].start_ns < first)
				first = shares[i].start_ns;
			if (shares[i].end_ns > last)
				last = shares[i].end_ns;
		}
		printf("%.1f\n", (last - first) / pages);
		pthread_barrier_destroy(&start_barrier);
		munmap(base, pages * PAGE_BYTES);
	}
	return 0;
}
