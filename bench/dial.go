package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// dialFunc opens the connection of the client with this index; the context bounds all of it.
type dialFunc func(ctx context.Context, index int) (net.Conn, error)

// transportOptions says what lies between TCP or a Unix socket and MQTT.
type transportOptions struct {
	localList string // local addresses, separated by commas
	useTLS    bool
	caFile    string
	certFile  string
	keyFile   string
	insecure  bool
	webSocket bool
	path      string
}

func (t *transportOptions) flags(f *flag.FlagSet) {
	f.StringVar(&t.localList, "ifaddr", "", "comma-separated local `addresses`, which the clients take in turn")
	f.BoolVar(&t.useTLS, "ssl", false, "speak TLS")
	f.StringVar(&t.caFile, "cacertfile", "", "PEM `file` with the certificates that may sign the broker's; the system's if not given")
	f.StringVar(&t.certFile, "certfile", "", "PEM `file` with the certificate of the clients")
	f.StringVar(&t.keyFile, "keyfile", "", "PEM `file` with the key of that certificate")
	f.BoolVar(&t.insecure, "insecure", false, "take any certificate from the broker")
	f.BoolVar(&t.webSocket, "ws", false, "speak WebSocket")
	f.StringVar(&t.path, "path", "/mqtt", "`path` of the WebSocket")
}

// dialer checks the options, reads the files, and returns what opens connections.
func (t *transportOptions) dialer(host string, port int, unixPath string) (dialFunc, error) {
	locals, err := parseLocals(t.localList)
	if err != nil {
		return nil, err
	}
	config, err := t.tlsConfig(host)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(t.path, "/") || strings.ContainsAny(t.path, " \r\n") {
		return nil, fmt.Errorf("--path %q: want a path that begins with / and has no spaces", t.path)
	}
	network, address := "tcp", net.JoinHostPort(host, strconv.Itoa(port))
	name := address // for the Host header
	if unixPath != "" {
		network, address = "unix", unixPath
	}
	return func(ctx context.Context, index int) (net.Conn, error) {
		d := net.Dialer{KeepAlive: -1}
		if len(locals) > 0 {
			d.LocalAddr = &net.TCPAddr{IP: locals[index%len(locals)].AsSlice()}
			d.Control = portAtConnect
		}
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		upper, err := t.wrap(ctx, conn, config, name)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		return upper, nil
	}, nil
}

// wrap puts TLS and WebSocket on a connection, as asked for.
func (t *transportOptions) wrap(ctx context.Context, conn net.Conn, config *tls.Config, name string) (net.Conn, error) {
	if config != nil {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		conn = secure
	}
	if !t.webSocket {
		return conn, nil
	}
	ws, err := upgradeWebSocket(ctx, conn, name, t.path)
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake for %s: %w", t.path, err)
	}
	return ws, nil
}

func (t *transportOptions) tlsConfig(host string) (*tls.Config, error) {
	if !t.useTLS {
		if t.caFile != "" || t.certFile != "" || t.keyFile != "" || t.insecure {
			return nil, errors.New("--cacertfile, --certfile, --keyfile and --insecure are for TLS: add -S or leave them out")
		}
		return nil, nil
	}
	config := &tls.Config{ServerName: host, InsecureSkipVerify: t.insecure, MinVersion: tls.VersionTLS12}
	if t.caFile != "" {
		text, err := os.ReadFile(t.caFile)
		if err != nil {
			return nil, fmt.Errorf("--cacertfile: %w: name a file that can be read", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--cacertfile %s has no certificate: want PEM, which begins with -----BEGIN CERTIFICATE-----", t.caFile)
		}
	}
	if (t.certFile == "") != (t.keyFile == "") {
		return nil, errors.New("--certfile and --keyfile go together: give both or none")
	}
	if t.certFile != "" {
		pair, err := tls.LoadX509KeyPair(t.certFile, t.keyFile)
		if err != nil {
			return nil, fmt.Errorf("--certfile %s, --keyfile %s: %w: want a certificate and its key in PEM", t.certFile, t.keyFile, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func parseLocals(list string) ([]netip.Addr, error) {
	if list == "" {
		return nil, nil
	}
	var locals []netip.Addr
	for text := range strings.SplitSeq(list, ",") {
		addr, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || addr.Zone() != "" {
			return nil, fmt.Errorf("--ifaddr: %q is no address: want addresses of this machine, as in 127.0.0.1,127.0.0.2", text)
		}
		locals = append(locals, addr)
	}
	return locals, nil
}

// portAtConnect lets the kernel choose the local port when it knows the other end. A port that bind chooses is taken for
// every broker, where one that connect chooses is taken for this one only.
func portAtConnect(_, _ string, c syscall.RawConn) error {
	var failed error
	if err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}); err != nil {
		return err
	}
	return failed
}
