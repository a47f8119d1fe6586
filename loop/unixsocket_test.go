package loop

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestUnixSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	o := UnixOptions{Path: path, Owner: -1, Group: -1, Mode: 0o600}
	first, err := ListenUnix(o)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(path); err != nil || st.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if _, err := ListenUnix(o); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second one on the path: %v", err)
	}
	syscall.Close(int(first.fd)) // as a kill does
	second, err := ListenUnix(o)
	if err != nil {
		t.Fatalf("after a stale one: %v", err)
	}
	first.fd = -1

	// What takes the name over is not removed.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	third, err := ListenUnix(o)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
	if c, err := net.Dial("unix", path); err != nil {
		t.Errorf("the third one's socket is gone: %v", err)
	} else {
		c.Close()
	}
	third.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after Close: %v", err)
	}

	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(o); !errors.Is(err, ErrNoSocket) {
		t.Errorf("on a file: %v", err)
	}
	o.Path = strings.Repeat("x", 108)
	if _, err := ListenUnix(o); err == nil || !strings.Contains(err.Error(), "107 bytes") {
		t.Errorf("on a long path: %v", err)
	}
}

func TestInheritedSockets(t *testing.T) {
	f := func(network, address string) *Listener {
		t.Helper()
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		file, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		fd, err := syscall.Dup(int(file.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		ls, err := Inherit(fd)
		if err != nil {
			t.Fatal(err)
		}
		if got := ls.Place(); got != l.Addr().String() {
			t.Errorf("it listens at %s, not %s", got, l.Addr())
		}
		return ls
	}
	f("tcp", "127.0.0.1:0").Close()
	path := filepath.Join(t.TempDir(), "s")
	f("unix", path).Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the file of somebody else's socket is gone: %v", err)
	}

	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	if _, err := Inherit(pair[0]); err == nil {
		t.Error("a connection is taken for a socket that listens")
	}
}

func TestListenByInterfaceAndFamily(t *testing.T) {
	f := func(o TCPOptions, want ...string) {
		t.Helper()
		all, err := Listen(o)
		if err != nil {
			t.Errorf("%+v: %v", o, err)
			return
		}
		var got []string
		for _, ls := range all {
			got = append(got, ls.Addr().Addr().String())
			ls.Close()
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%+v: %v, want %v", o, got, want)
		}
	}
	f(TCPOptions{Family: IPv4}, "0.0.0.0")
	f(TCPOptions{Interface: "lo", Family: IPv4}, "127.0.0.1")
	f(TCPOptions{Interface: "lo", Host: "127.0.0.1"}, "127.0.0.1")
	for _, o := range []TCPOptions{{Interface: "no-such-one"}, {Interface: "lo", Host: "192.0.2.9"}, {Host: "127.0.0.1", Family: IPv6}} {
		if _, err := Listen(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
