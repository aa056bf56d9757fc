/* What stress.trace.gz is a recording of: huge pages, locked memory, shared memory, threads and a fork, all in turn. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1 << 20)

static char *map(size_t bytes, int flags) {
  return mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
}

static void *allocate(void *unused) {
  char *p = malloc(3 * MIB);
  memset(p, 1, 3 * MIB);
  free(p);
  return unused;
}

int main(void) {
  char *small = map(MIB, MAP_PRIVATE);
  mlock(small, MIB / 4);
  memset(small, 1, MIB);
  munlock(small, MIB / 4);

  char *huge = map(8 * MIB, MAP_PRIVATE);
  madvise(huge, 8 * MIB, MADV_HUGEPAGE);
  memset(huge, 1, 5 * MIB);
  munmap(huge + 4096, 4096);
  madvise(huge, MIB, MADV_DONTNEED);
  memset(huge, 2, 4096);

  char *shared = map(MIB, MAP_SHARED);
  memset(shared, 1, MIB / 2);

  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, allocate, 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);

  if (fork() == 0) {
    memset(shared, 2, MIB);
    memset(small, 3, MIB);
    memset(huge + 2 * MIB, 1, 3 * MIB);
    _exit(0);
  }
  wait(0);
  memset(small, 4, MIB);
  memset(huge + 2 * MIB, 2, MIB);

  small = mremap(small, MIB, 4 * MIB, MREMAP_MAYMOVE);
  memset(small, 5, 4 * MIB);
  mlockall(MCL_CURRENT | MCL_FUTURE);
  map(MIB, MAP_PRIVATE);
  sbrk(MIB);
  munlockall();

  char *present = map(MIB, MAP_PRIVATE | MAP_POPULATE);
  mprotect(present, MIB / 2, PROT_READ);
  mprotect(present, MIB / 2, PROT_READ | PROT_WRITE);
  memset(present, 1, MIB);
  return 0;
}
