package loop

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// system is the Linux kernel: one epoll instance and one eventfd for each loop. Calls that cannot block go in as raw
// system calls, which do not tell the scheduler; only a poll that sleeps gives up its P.
type system struct {
	epoll   int32
	eventfd int32
	reserve int32     // kept to have a descriptor for turning a connection away when there are no others
	start   time.Time // the zero of Now, the same for all loops of a group
	events  []unix.EpollEvent
	iov     []unix.Iovec
}

func newSystem(start time.Time) (System, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	ev, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("create an eventfd: %w", err)
	}
	s := &system{epoll: int32(ep), eventfd: int32(ev), reserve: -1, start: start, events: make([]unix.EpollEvent, eventsMax),
		iov: make([]unix.Iovec, vectorsMax)}
	// Edge-triggered: each write is an edge, so the counter need not be read.
	if err := s.control(unix.EPOLL_CTL_ADD, s.eventfd, unix.EPOLLIN|unix.EPOLLET, wakeToken); err != nil {
		s.close()
		return nil, fmt.Errorf("watch the eventfd: %w", err)
	}
	s.openReserve()
	return s, nil
}

func (s *system) openReserve() {
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	s.reserve = int32(fd)
}

func (s *system) close() {
	unix.Close(int(s.epoll))
	unix.Close(int(s.eventfd))
	if s.reserve >= 0 {
		unix.Close(int(s.reserve))
	}
}

func (s *system) control(op int, fd int32, events uint32, token uint64) error {
	// Fd and Pad are the two halves of the kernel's 64-bit user data.
	e := unix.EpollEvent{Events: events, Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32))}
	return unix.EpollCtl(int(s.epoll), op, int(fd), &e)
}

func (s *system) Watch(fd int32, token uint64) error {
	return s.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET, token)
}

func (s *system) WatchAccept(fd int32, token uint64) error {
	return s.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, token)
}

func (s *system) Forget(fd int32) {
	_ = unix.EpollCtl(int(s.epoll), unix.EPOLL_CTL_DEL, int(fd), nil) // it may be closed already
}

func (s *system) Wake() {
	one := uint64(1)
	_, _ = unix.Write(int(s.eventfd), (*[8]byte)(unsafe.Pointer(&one))[:]) // full means an edge is already due
}

func (s *system) Poll(events []Event, timeout int64) int {
	n := 0
	room := uintptr(min(len(events), len(s.events)))
	for {
		r, _, errno := s.wait(room, timeout)
		if errno == 0 {
			n = int(r)
			break
		}
		if errno != syscall.EINTR {
			panic("FATAL: epoll_wait: " + errno.Error())
		}
		if timeout != 0 {
			return 0 // the caller looks at the clock and comes again
		}
	}
	for i := range n {
		e := &s.events[i]
		events[i] = Event{Token: uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32, Ready: ready(e.Events)}
	}
	return n
}

func (s *system) wait(room uintptr, timeout int64) (n, _ uintptr, errno syscall.Errno) {
	p := uintptr(unsafe.Pointer(&s.events[0]))
	if timeout == 0 {
		return syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.epoll), p, room, 0, 0, 0)
	}
	ms := -1
	if timeout > 0 {
		ms = int(min((timeout+1e6-1)/1e6, 1<<31-1))
	}
	return syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.epoll), p, room, uintptr(ms), 0, 0)
}

func ready(e uint32) (r Ready) {
	if e&unix.EPOLLIN != 0 {
		r |= Readable
	}
	if e&unix.EPOLLOUT != 0 {
		r |= Writable
	}
	if e&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r |= HungUp
	}
	if e&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r |= Gone
	}
	return r
}

func (s *system) Accept(fd int32, noDelay bool) (int32, netip.AddrPort, syscall.Errno) {
	var sa unix.RawSockaddrAny
	n, errno := accept4(fd, &sa)
	if errno == syscall.EMFILE || errno == syscall.ENFILE {
		s.turnAway(fd)
		return -1, netip.AddrPort{}, errno
	}
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	if noDelay && sa.Addr.Family != unix.AF_UNIX {
		_ = unix.SetsockoptInt(int(n), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	return n, rawAddrPort(&sa), 0
}

func accept4(fd int32, sa *unix.RawSockaddrAny) (int32, syscall.Errno) {
	size := uint32(unix.SizeofSockaddrAny)
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(sa)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int32(n), errno
}

// turnAway accepts and closes one connection with the reserved descriptor, so that a level-triggered listener does
// not spin while the process has no descriptors left.
func (s *system) turnAway(fd int32) {
	if s.reserve < 0 {
		s.openReserve()
		return
	}
	unix.Close(int(s.reserve))
	var sa unix.RawSockaddrAny
	if n, errno := accept4(fd, &sa); errno == 0 {
		unix.Close(int(n))
	}
	s.openReserve()
}

func rawAddrPort(sa *unix.RawSockaddrAny) netip.AddrPort {
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		port := (*[2]byte)(unsafe.Pointer(&in.Port))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(port[0])<<8|uint16(port[1]))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		port := (*[2]byte)(unsafe.Pointer(&in.Port))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr), uint16(port[0])<<8|uint16(port[1]))
	}
	return netip.AddrPort{}
}

func (s *system) Read(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func (s *system) Write(fd int32, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func (s *system) Writev(fd int32, bufs [][]byte) (int, syscall.Errno) {
	iov := s.iov[:len(bufs)]
	for i, b := range bufs {
		iov[i].Base = unsafe.SliceData(b)
		iov[i].SetLen(len(b))
	}
	n, _, errno := syscall.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	clear(iov)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func (s *system) Close(fd int32) { unix.Close(int(fd)) }

func (s *system) PeerGone(fd int32) bool {
	var b [1]byte
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1,
		unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return (errno == 0 && n == 0) || (errno != 0 && errno != syscall.EAGAIN && errno != syscall.EINTR)
}

func (s *system) Now() int64 { return int64(time.Since(s.start)) + 1 }
