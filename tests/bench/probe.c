/*
 * The floor under `newroot closure`: reads the same bytes of the same files and thinks about
 * nothing. For each path in the file argv[1], one a line: open, pread the first 4 KiB, pread the
 * dynamic section, pread the window of the string table that its names lie in.
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 65536
static unsigned long files, bytes;

/* The file offset of a virtual address, from the program headers. */
static long offset_of(const Elf64_Phdr *segment, int count, Elf64_Addr address)
{
	for (int i = 0; i < count; i++)
		if (segment[i].p_type == PT_LOAD && address >= segment[i].p_vaddr &&
		    address < segment[i].p_vaddr + segment[i].p_filesz)
			return address - segment[i].p_vaddr + segment[i].p_offset;
	return -1;
}

static int names_a_string(Elf64_Sxword tag)
{
	return tag == DT_NEEDED || tag == DT_SONAME || tag == DT_RPATH || tag == DT_RUNPATH;
}

static void read_strings(int fd, const Elf64_Phdr *segments, int count,
			 const Elf64_Dyn *dynamic, size_t entries)
{
	static char window[WINDOW];
	Elf64_Addr table = 0;
	unsigned long low = -1, high = 0;

	for (size_t i = 0; i < entries && dynamic[i].d_tag != DT_NULL; i++) {
		if (dynamic[i].d_tag == DT_STRTAB)
			table = dynamic[i].d_un.d_ptr;
		if (!names_a_string(dynamic[i].d_tag))
			continue;
		if (dynamic[i].d_un.d_val < low)
			low = dynamic[i].d_un.d_val;
		if (dynamic[i].d_un.d_val > high)
			high = dynamic[i].d_un.d_val;
	}
	long offset = offset_of(segments, count, table);
	size_t length = high - low + 256;
	if (offset < 0 || low > high)
		return;
	ssize_t got = pread(fd, window, length < WINDOW ? length : WINDOW, offset + low);
	bytes += got > 0 ? got : 0;
}

static void probe(const char *path)
{
	static union { char bytes[4096]; Elf64_Ehdr header; } head;
	static Elf64_Dyn dynamic[1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t got = pread(fd, head.bytes, sizeof head.bytes, 0);
	const Elf64_Ehdr *elf = &head.header;
	files++;
	bytes += got > 0 ? got : 0;
	if (got >= (ssize_t)sizeof *elf && !memcmp(elf->e_ident, ELFMAG, SELFMAG) &&
	    elf->e_ident[EI_CLASS] == ELFCLASS64 &&
	    elf->e_phoff + elf->e_phnum * sizeof(Elf64_Phdr) <= (size_t)got) {
		const Elf64_Phdr *segment = (const void *)(head.bytes + elf->e_phoff);
		for (int i = 0; i < elf->e_phnum; i++) {
			if (segment[i].p_type != PT_DYNAMIC)
				continue;
			size_t size = segment[i].p_filesz;
			size = size < sizeof dynamic ? size : sizeof dynamic;
			got = pread(fd, dynamic, size, segment[i].p_offset);
			bytes += got > 0 ? got : 0;
			if (got > 0)
				read_strings(fd, segment, elf->e_phnum, dynamic,
					     got / sizeof *dynamic);
		}
	}
	close(fd);
}

int main(int argc, char **argv)
{
	char line[4096];
	FILE *list = argc == 2 ? fopen(argv[1], "r") : NULL;
	if (!list)
		return 2;
	while (fgets(line, sizeof line, list)) {
		line[strcspn(line, "\n")] = 0;
		probe(line);
	}
	printf("%lu files, %lu bytes\n", files, bytes);
	return 0;
}
