package loop

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// UnixOptions is a Unix socket to listen on.
type UnixOptions struct {
	Path  string
	Owner int // user, -1: the process's
	Group int // -1: the process's
	Mode  uint32
}

// unixPathMax is how long the kernel lets the path of a Unix socket be.
const unixPathMax = 107

// fileID tells the file of a socket from another of the same name.
type fileID struct {
	dev, ino uint64
}

// ListenUnix opens a Unix socket. A socket that nobody listens on any more is taken away first; one that somebody listens on is
// EADDRINUSE, and a file that is no socket stays where it is.
func ListenUnix(o UnixOptions) (*Listener, error) {
	if len(o.Path) > unixPathMax {
		return nil, fmt.Errorf("listen on %s: the path of a Unix socket can have %d bytes, this one has %d", o.Path, unixPathMax, len(o.Path))
	}
	if err := removeStale(o.Path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", o.Path, err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket for %s: %w", o.Path, err)
	}
	ls := &Listener{fd: int32(fd), path: o.Path}
	if err := ls.bindFile(o); err != nil {
		ls.Close()
		return nil, err
	}
	return ls, nil
}

// bindFile makes the socket's file. Nobody can connect before it has its owner and its mode.
func (ls *Listener) bindFile(o UnixOptions) error {
	if err := unix.Bind(int(ls.fd), unixAddr(o.Path)); err != nil {
		return fmt.Errorf("listen on %s: %w", o.Path, err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(o.Path, &st); err != nil {
		return fmt.Errorf("read the file of %s: %w", o.Path, err)
	}
	ls.file = fileID{uint64(st.Dev), uint64(st.Ino)}
	if o.Owner >= 0 || o.Group >= 0 {
		if err := unix.Lchown(o.Path, o.Owner, o.Group); err != nil {
			return fmt.Errorf("give %s to another user or group: %w", o.Path, err)
		}
	}
	if err := unix.Chmod(o.Path, o.Mode); err != nil {
		return fmt.Errorf("set the mode of %s: %w", o.Path, err)
	}
	if err := unix.Listen(int(ls.fd), listenBacklog); err != nil {
		return fmt.Errorf("listen on %s: %w", o.Path, err)
	}
	return nil
}

// unixAddr is a path as an address; a name that begins with @ would be none.
func unixAddr(path string) *unix.SockaddrUnix {
	if path[0] == '@' {
		path = "./" + path
	}
	return &unix.SockaddrUnix{Name: path}
}

// ErrNoSocket is the path of a file that is no socket.
var ErrNoSocket = errors.New("there is a file of this name that is no socket; remove it, or choose another path")

// removeStale takes away a socket that a broker that was killed has left.
func removeStale(path string) error {
	var st unix.Stat_t
	switch err := unix.Lstat(path, &st); {
	case errors.Is(err, syscall.ENOENT):
		return nil
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT != unix.S_IFSOCK:
		return ErrNoSocket
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, unixAddr(path)); {
	case errors.Is(err, syscall.ECONNREFUSED):
		return unix.Unlink(path)
	case err == nil, errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EPROTOTYPE):
		return syscall.EADDRINUSE
	default:
		return err
	}
}

// removeFile takes the socket's file away unless it is another's by now.
func (ls *Listener) removeFile() {
	var st unix.Stat_t
	if ls.file == (fileID{}) || unix.Lstat(ls.path, &st) != nil || (fileID{uint64(st.Dev), uint64(st.Ino)}) != ls.file {
		return
	}
	_ = unix.Unlink(ls.path) // in a directory where we may not, the next start finds it stale
}

// Inherit takes over a listening stream socket that another process opened, as a service manager does. It owns fd.
func Inherit(fd int) (*Listener, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is no socket: %w", fd, err)
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || kind != unix.SOCK_STREAM || listens == 0 {
		return nil, fmt.Errorf("descriptor %d is no stream socket that listens", fd)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	unix.CloseOnExec(fd)
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return nil, fmt.Errorf("read the address of descriptor %d: %w", fd, err)
	}
	ls := &Listener{fd: int32(fd), addr: addrPort(bound)}
	if u, ok := bound.(*unix.SockaddrUnix); ok {
		ls.path = u.Name
	}
	if ls.path == "" && ls.addr == (netip.AddrPort{}) {
		return nil, fmt.Errorf("descriptor %d listens neither on an address nor on a path", fd)
	}
	return ls, nil
}
