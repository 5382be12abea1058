// Has every other thread of the process do something to itself. The kernel keeps some attributes, such as
// capabilities, for each thread, and a thread can change only its own. Node has several threads: for file
// operations, for compilation, and one that waits for SIGUSR1.
//
// It is done as the C libraries do it, whose setuid(2) and setgid(2) change all threads, and libpsx, which
// libcap uses for the same purpose: by a signal whose handler makes the system calls. The signal is 33, which
// glibc and musl use for setuid(2). Their pthread_sigmask(3) does not block it, so it reaches all of Node's
// threads; some of these block all other signals. Their sigaction(2) refuses it, too, so the handler is
// installed by the system call rt_sigaction, as in libpsx. Afterwards the C library's handler is put back. In
// between, do not call setuid(2) and the like.
//
// @see nptl(7), psx(3), https://bugzilla.kernel.org/show_bug.cgi?id=219687
#pragma once

namespace swtpm::addon {

// Calls `action` in each thread for which `is_due` says so, and returns when it says so for none. `action`
// runs in a signal handler. `is_due` gets the text of /proc/self/task/TID/status, is asked again until all
// threads have followed, and must not be due for good.
//
// 0, or -errno: -ENOENT without /proc; -ETIMEDOUT if a thread does not follow within some two seconds, in
// which case the signal is still handled, without effect. One call at a time in the process.
int RunInOtherThreads(void (*action)(), bool (*is_due)(const char* status));

}  // namespace swtpm::addon
