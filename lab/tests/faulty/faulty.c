/*
 * A disk with faults: a library that is loaded before the C library (LD_PRELOAD) and stands between a program and
 * the files of one directory.
 *
 * FAULTY_DIRECTORY names the directory. FAULTY_CONTROL names a file with one fault a line, read at every call, so a
 * fault begins and ends while the program runs:
 *
 *     write full      writes fail: no space
 *     sync fail       fsync and fdatasync fail: input/output error
 *     sync 3000       they take 3,000 ms longer
 *     read hang       reads wait until the line is gone
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* What the control file says of a call: the text behind its name, or nothing. */
static int read_effect(const char *call, char *effect, size_t size) {
    char text[512], *line, *rest = text;
    const char *control = getenv("FAULTY_CONTROL");
    long fd = control ? syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    long length = syscall(SYS_read, fd, text, sizeof text - 1);
    syscall(SYS_close, fd);
    text[length < 0 ? 0 : length] = 0;
    while ((line = strsep(&rest, "\n"))) {
        size_t name = strlen(call);
        if (strncmp(line, call, name) == 0 && line[name] == ' ') {
            snprintf(effect, size, "%s", line + name + 1);
            return 1;
        }
    }
    return 0;
}

/* Waits as long as the fault says, and gives the error that the call is to fail with, or 0. */
static int fault(const char *call, int fd) {
    char link[64], path[4096], effect[64];
    const char *directory = getenv("FAULTY_DIRECTORY");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = directory ? syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1) : -1;
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, directory, strlen(directory)) != 0) return 0;
    if (!read_effect(call, effect, sizeof effect)) return 0;
    if (strcmp(effect, "full") == 0) return ENOSPC;
    if (strcmp(effect, "fail") == 0) return EIO;
    if (strcmp(effect, "hang") != 0) pause_ms(atol(effect));
    while (strcmp(effect, "hang") == 0) {
        pause_ms(10);
        if (!read_effect(call, effect, sizeof effect)) return 0;
    }
    return 0;
}

#define UNLESS_FAULTY(call, fd, otherwise) \
    do {                                   \
        int error = fault(call, fd);       \
        if (error) {                       \
            errno = error;                 \
            return -1;                     \
        }                                  \
        return otherwise;                  \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t length) {
    UNLESS_FAULTY("write", fd, syscall(SYS_write, fd, bytes, length));
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    UNLESS_FAULTY("write", fd, syscall(SYS_pwrite64, fd, bytes, length, at));
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    UNLESS_FAULTY("write", fd, syscall(SYS_pwrite64, fd, bytes, length, at));
}
ssize_t read(int fd, void *bytes, size_t length) {
    UNLESS_FAULTY("read", fd, syscall(SYS_read, fd, bytes, length));
}
ssize_t pread(int fd, void *bytes, size_t length, off_t at) {
    UNLESS_FAULTY("read", fd, syscall(SYS_pread64, fd, bytes, length, at));
}
ssize_t pread64(int fd, void *bytes, size_t length, off64_t at) {
    UNLESS_FAULTY("read", fd, syscall(SYS_pread64, fd, bytes, length, at));
}
int fsync(int fd) { UNLESS_FAULTY("sync", fd, syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { UNLESS_FAULTY("sync", fd, syscall(SYS_fdatasync, fd)); }
