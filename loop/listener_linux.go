package loop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

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
	path string // of a Unix socket
	file fileID // that was made for it and goes with it; zero for one that somebody else made
}

// Addr returns the bound address; not valid for a Unix socket.
func (ls *Listener) Addr() netip.AddrPort { return ls.addr }

// Path returns the file of a Unix socket; empty for others.
func (ls *Listener) Path() string { return ls.path }

// Place says where it listens: the path or the address.
func (ls *Listener) Place() string {
	if ls.path != "" {
		return ls.path
	}
	return ls.addr.String()
}

// Family limits a listener to IPv4 or IPv6 addresses.
type Family uint8

// The families.
const (
	AnyFamily Family = iota
	IPv4
	IPv6
)

// TCPOptions is where to listen.
type TCPOptions struct {
	Host      string // a name, an address, or "" for all addresses
	Port      uint16 // 0: any, the same for all addresses
	Interface string // listen on the addresses of this network interface only, of which Host must be one; "": any
	Family    Family
}

// Listen opens the sockets of o, one for each address.
func Listen(o TCPOptions) ([]*Listener, error) {
	addrs, err := o.addrs()
	if err != nil {
		return nil, err
	}
	return listenAll(addrs, o.Port, o.Host == "" && o.Interface == "" && o.Family == AnyFamily)
}

// addrs is the addresses to listen on.
func (o *TCPOptions) addrs() ([]netip.Addr, error) {
	all, err := listenAddrs(o.Host)
	if err != nil {
		return nil, err
	}
	if o.Interface != "" {
		have, err := interfaceAddrs(o.Interface)
		if err != nil {
			return nil, err
		}
		if o.Host == "" {
			all = have
		} else if all = slices.DeleteFunc(all, func(a netip.Addr) bool { return !slices.Contains(have, a) }); len(all) == 0 {
			return nil, fmt.Errorf("network interface %s does not have the address %s; it has %v", o.Interface, o.Host, have)
		}
	}
	if o.Family != AnyFamily {
		all = slices.DeleteFunc(all, func(a netip.Addr) bool { return a.Is4() != (o.Family == IPv4) })
	}
	if len(all) == 0 {
		return nil, errors.New("there is no address of the wanted family to listen on; give an address or interface that has one, or leave socket_domain out")
	}
	return all, nil
}

// interfaceAddrs is the addresses of a network interface but for link-local ones.
func interfaceAddrs(name string) (all []netip.Addr, err error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("find the network interface %s: %w", name, err)
	}
	have, err := ifi.Addrs()
	if err != nil {
		return nil, fmt.Errorf("read the addresses of network interface %s: %w", name, err)
	}
	for _, n := range have {
		if p, err := netip.ParsePrefix(n.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
			all = append(all, p.Addr().Unmap())
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("network interface %s has no address to listen on", name)
	}
	return all, nil
}

// ListenTCP opens the sockets for host (a name, an address, or "" for all addresses of both families) and port (0:
// any, the same for both families). There is no SO_REUSEPORT: a second broker on the same port must fail to start.
func ListenTCP(host string, port uint16) ([]*Listener, error) {
	return Listen(TCPOptions{Host: host, Port: port})
}

// listenAll opens a socket for each address; with maybe those of IPv6 may be missing, on a machine without it.
func listenAll(addrs []netip.Addr, port uint16, maybe bool) ([]*Listener, error) {
	var all []*Listener
	var firstErr error
	for _, a := range addrs {
		ls, err := listenOne(netip.AddrPortFrom(a, port))
		if err != nil {
			if maybe && a.Is6() && len(all) > 0 {
				continue
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

// Close closes the socket and removes the file that was made for it. Loops must not watch it any more.
func (ls *Listener) Close() {
	if ls.fd >= 0 {
		ls.removeFile()
		unix.Close(int(ls.fd))
		ls.fd = -1
	}
}
