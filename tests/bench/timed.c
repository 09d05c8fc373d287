/*
 * Runs argv[3..] argv[2] times and writes "NANOSECONDS PEAK_KIB STATUS" into the file argv[1]: of
 * one run on average, the largest, the last that was not 0. A small process starts it, since a
 * large one starts slowly and its own peak would count (the child of a vfork shares the memory of
 * its parent until exec).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec before, after;
	struct rusage usage;
	int status, code = 0;
	long peak = 0;
	FILE *out = argc > 3 ? fopen(argv[1], "w") : NULL;
	int count = argc > 3 ? atoi(argv[2]) : 0;

	if (!out || count < 1)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &before);
	for (int i = 0; i < count; i++) {
		pid_t child = vfork();
		if (child == 0) {
			execvp(argv[3], argv + 3);
			_exit(127);
		}
		if (child < 0 || wait4(child, &status, 0, &usage) != child)
			return 2;
		if (usage.ru_maxrss > peak)
			peak = usage.ru_maxrss;
		if (!WIFEXITED(status))
			code = 128 + WTERMSIG(status);
		else if (WEXITSTATUS(status))
			code = WEXITSTATUS(status);
	}
	clock_gettime(CLOCK_MONOTONIC, &after);
	long long spent = (after.tv_sec - before.tv_sec) * 1000000000LL +
			  (after.tv_nsec - before.tv_nsec);
	fprintf(out, "%lld %ld %d\n", spent / count, peak, code);
	return fclose(out) ? 2 : 0;
}
