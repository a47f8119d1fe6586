package bench

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The run owns its only thread and allocates nothing while it measures, so its calls skip the scheduler's bookkeeping,
// also the waiting one: there is no other goroutine that could use the time.

func rawRead(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func rawWrite(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

// kernelTimespec is the 64-bit time of epoll_pwait2 on every architecture.
type kernelTimespec struct{ sec, nsec int64 }

// rawEpollWait waits at most timeoutNs; an interrupted wait is an empty one. A negative time waits without limit.
func rawEpollWait(epfd int, events []unix.EpollEvent, timeoutNs int64) (int, unix.Errno) {
	ts := kernelTimespec{sec: timeoutNs / 1e9, nsec: timeoutNs % 1e9}
	at := uintptr(unsafe.Pointer(&ts))
	if timeoutNs < 0 {
		at = 0
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epfd),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), at, 0, 0)
	if errno == unix.EINTR {
		return 0, 0
	}
	return int(n), errno
}
