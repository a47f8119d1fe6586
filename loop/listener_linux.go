package loop

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Listener is one listening socket, shared by all loops of a group.
type Listener struct {
	// Tag is the owner's.
	Tag any
	// NoDelay sets TCP_NODELAY on accepted sockets.
	NoDelay bool

	fd   int32
	addr netip.AddrPort
}

// Addr returns the bound address.
func (ls *Listener) Addr() netip.AddrPort { return ls.addr }

// ListenTCP opens the sockets for host (a name, an address, or "" for all addresses of both families) and port (0:
// any, the same for both families). There is no SO_REUSEPORT: a second broker on the same port must fail to start.
func ListenTCP(host string, port uint16) ([]*Listener, error) {
	addrs, err := listenAddrs(host)
	if err != nil {
		return nil, err
	}
	var all []*Listener
	var firstErr error
	for _, a := range addrs {
		ls, err := listenOne(netip.AddrPortFrom(a, port))
		if err != nil {
			if host == "" && a.Is6() && len(all) > 0 {
				continue // a machine without IPv6
			}
			firstErr = err
			break
		}
		port = ls.addr.Port()
		all = append(all, ls)
	}
	if firstErr != nil {
		for _, ls := range all {
			ls.Close()
		}
		return nil, firstErr
	}
	return all, nil
}

// listenAddrs resolves host; this is start-up, where DNS may be waited for.
func listenAddrs(host string) ([]netip.Addr, error) {
	if host == "" {
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

func listenOne(addr netip.AddrPort) (*Listener, error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket for %s: %w", addr, err)
	}
	if err := bindListen(fd, family, addr); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("read the address of %s: %w", addr, err)
	}
	return &Listener{fd: int32(fd), addr: addrPort(bound)}, nil
}

func bindListen(fd, family int, addr netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	var sa unix.Sockaddr
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
		in6 := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
		if zone := addr.Addr().Zone(); zone != "" {
			if ifi, err := net.InterfaceByName(zone); err == nil {
				in6.ZoneId = uint32(ifi.Index)
			}
		}
		sa = in6
	} else {
		sa = &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return err
	}
	return unix.Listen(fd, listenBacklog)
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// Close closes the socket. Loops must not watch it any more.
func (ls *Listener) Close() {
	if ls.fd >= 0 {
		unix.Close(int(ls.fd))
		ls.fd = -1
	}
}
