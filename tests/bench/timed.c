/*
 * Runs argv[2..] and writes "NANOSECONDS PEAK_KIB STATUS" into the file argv[1]. A small process
 * starts it, since a large one starts slowly and its own peak would count (the child of a vfork
 * shares the memory of its parent until exec).
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec before, after;
	struct rusage usage;
	int status;
	FILE *out = argc > 2 ? fopen(argv[1], "w") : NULL;

	if (!out)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &before);
	pid_t child = vfork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) != child)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &after);
	long long spent = (after.tv_sec - before.tv_sec) * 1000000000LL +
			  (after.tv_nsec - before.tv_nsec);
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	fprintf(out, "%lld %ld %d\n", spent, usage.ru_maxrss, code);
	return fclose(out) ? 2 : 0;
}
