package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/logging"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/shard"
)

// listener is one listener of the configuration: what clients of it are told by, and its sockets, one for each address.
type listener struct {
	tag     *shard.Listener
	sockets []*loop.Listener
}

// open opens the sockets of one listener, or takes those that the service manager has opened for it.
func (s *server) open(cfg *config.Config, l *config.Listener, set *shard.ListenerSettings) error {
	sockets := s.inherited.take(l)
	opening := "Opening"
	if len(sockets) > 0 {
		opening = "Using the service manager's"
	} else {
		var err error
		if sockets, err = listen(l); err != nil {
			if l.Address == "::1" && errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
				s.log.Logf(logging.Warning, "Warning: this machine has no IPv6; not listening on %s.", l.Address)
				return nil
			}
			if err = describe(err, l); l.File != "" {
				err = fmt.Errorf("%w (%s:%d)", err, l.File, l.Line)
			}
			return err
		}
	}
	tag := shard.NewListener(*l, set.Access)
	tag.Use(set)
	for _, ls := range sockets {
		ls.Tag, ls.NoDelay = tag, cfg.SetTCPNoDelay
		switch {
		case ls.Path() != "":
			s.log.Logf(logging.Information, "%s unix listen socket on path %s.", opening, ls.Path())
		case ls.Addr().Addr().Is6():
			s.log.Logf(logging.Information, "%s ipv6 listen socket on port %d.", opening, ls.Addr().Port())
		default:
			s.log.Logf(logging.Information, "%s ipv4 listen socket on port %d.", opening, ls.Addr().Port())
		}
	}
	s.listeners = append(s.listeners, listener{tag, sockets})
	return nil
}

// listen opens the sockets of one listener: a file, or one for each address that its address has.
func listen(l *config.Listener) ([]*loop.Listener, error) {
	if l.SocketPath == "" {
		return loop.Listen(loop.TCPOptions{Host: l.Address, Port: l.Port, Interface: l.BindInterface, Family: families[l.SocketDomain]})
	}
	owner, err := lookUpID("socket_owner", l.SocketOwner, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
	if err != nil {
		return nil, err
	}
	group, err := lookUpID("socket_group", l.SocketGroup, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	if err != nil {
		return nil, err
	}
	ls, err := loop.ListenUnix(loop.UnixOptions{Path: l.SocketPath, Owner: owner, Group: group, Mode: l.SocketMode})
	if err != nil {
		return nil, err
	}
	return []*loop.Listener{ls}, nil
}

var families = [...]loop.Family{config.AnyDomain: loop.AnyFamily, config.IPv4: loop.IPv4, config.IPv6: loop.IPv6}

// lookUpID is the number of a user or group that is given by name or number; -1 when it is not given.
func lookUpID(key, value string, find func(string) (string, error)) (int, error) {
	if value == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return int(n), nil
	}
	id, err := find(value)
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w; give one that exists, or its number", key, value, err)
	}
	return strconv.Atoi(id)
}

// describe puts the system's reason first, as Mosquitto writes it, and adds what to do about the commonest.
func describe(err error, l *config.Listener) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("creating listener: %w", err)
	}
	reason := errno.Error()
	reason = strings.ToUpper(reason[:1]) + reason[1:]
	where := strings.TrimSuffix(err.Error(), ": "+errno.Error())
	switch {
	case errno == syscall.EADDRINUSE && l.SocketPath != "":
		return fmt.Errorf("%s (%s): is another broker running with this path?", reason, where)
	case errno == syscall.EADDRINUSE:
		return fmt.Errorf("%s (%s): is another broker running on this port?", reason, where)
	case errno == syscall.EADDRNOTAVAIL:
		return fmt.Errorf("%s (%s): no network interface of this machine has this address", reason, where)
	case errno == syscall.EPERM && l.SocketPath != "":
		return fmt.Errorf("%s (%s): the broker gives up root's rights before it makes the socket; name a group that its user is in, or start it as the owner", reason, where)
	case errno == syscall.EACCES && l.SocketPath != "":
		return fmt.Errorf("%s (%s): the user that the broker runs as must be able to write to the directory", reason, where)
	case errno == syscall.EACCES && l.Port < 1024:
		return fmt.Errorf("%s (%s): the broker gives up root's rights before it opens ports; allow it ports below 1024 with: "+
			"setcap cap_net_bind_service=+ep %s", reason, where, executable())
	}
	return fmt.Errorf("%s (%s)", reason, where)
}

// inherited is the sockets that a service manager opened for us and that no listener has taken.
type inherited struct {
	sockets []*loop.Listener
	names   []string // as FileDescriptorName= gives them
}

// inherit takes over the sockets of LISTEN_FDS, as sd_listen_fds(3) says.
func inherit() (*inherited, error) {
	in := &inherited{}
	if err := checkInherited(); err != nil {
		return nil, err
	}
	var errs []error
	for _, f := range activation.Files(true) {
		fd, err := syscall.Dup(int(f.Fd())) // a file closes its own when nothing refers to it
		f.Close()
		if err == nil {
			var ls *loop.Listener
			if ls, err = loop.Inherit(fd); err == nil {
				in.sockets, in.names = append(in.sockets, ls), append(in.names, f.Name())
				continue
			}
			syscall.Close(fd)
		}
		errs = append(errs, fmt.Errorf("socket %s of the service manager: %w", f.Name(), err))
	}
	if len(errs) > 0 {
		in.close()
		return nil, errors.Join(errs...)
	}
	return in, nil
}

// checkInherited looks whether LISTEN_FDS tells the truth: descriptors beyond it are the runtime's own.
func checkInherited() error {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil
	}
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	for fd := 3; fd < 3+n; fd++ {
		if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
			return fmt.Errorf("LISTEN_FDS=%d: descriptor %d is no socket that listens; give the service sockets with Accept=no", n, fd)
		}
	}
	return nil
}

// take takes the sockets that belong to a listener: of its path, or of its port and address.
func (in *inherited) take(l *config.Listener) (mine []*loop.Listener) {
	for i := 0; i < len(in.sockets); {
		if !belongs(in.sockets[i], l) {
			i++
			continue
		}
		mine = append(mine, in.sockets[i])
		in.sockets = append(in.sockets[:i], in.sockets[i+1:]...)
		in.names = append(in.names[:i], in.names[i+1:]...)
	}
	return mine
}

// belongs is whether a socket is one that the listener would have opened; to one without an address belongs every socket of its port.
func belongs(ls *loop.Listener, l *config.Listener) bool {
	if l.SocketPath != "" || ls.Path() != "" {
		return ls.Path() == l.SocketPath
	}
	a := ls.Addr().Addr().Unmap()
	switch {
	case ls.Addr().Port() != l.Port, l.SocketDomain == config.IPv4 && !a.Is4(), l.SocketDomain == config.IPv6 && a.Is4():
		return false
	case l.Address == "":
		return true
	}
	if want, err := netip.ParseAddr(l.Address); err == nil {
		return want.Unmap().WithZone("") == a.WithZone("")
	}
	all, err := net.LookupIP(l.Address)
	if err != nil {
		return false
	}
	for _, ip := range all {
		if want, ok := netip.AddrFromSlice(ip); ok && want.Unmap() == a {
			return true
		}
	}
	return false
}

// left is an error when there are sockets that no listener has taken: clients of them would wait in vain.
func (in *inherited) left() error {
	var errs []error
	for i, ls := range in.sockets {
		line := "listener 0 " + ls.Path()
		if ls.Path() == "" {
			line = fmt.Sprintf("listener %d", ls.Addr().Port())
		}
		errs = append(errs, fmt.Errorf("the service manager has opened %s (%s), which is no listener of the configuration: add the line '%s', or take the socket out of its unit",
			ls.Place(), in.names[i], line))
	}
	return errors.Join(errs...)
}

func (in *inherited) close() {
	for _, ls := range in.sockets {
		ls.Close()
	}
}

// executable is this program's file, for what people are told to type.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

func (s *server) closeListeners() {
	for _, l := range s.listeners {
		for _, ls := range l.sockets {
			ls.Close()
		}
	}
	s.inherited.close()
}
