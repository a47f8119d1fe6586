package e2e

import (
	"io"
	"net"
	"testing"
)

// proxy forwards connections to the broker and hands out the broker's side of each, so that a test can cut one
// without the client saying good-bye.
func proxy(t *testing.T, b *broker) (port int, conns <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan net.Conn, 16)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", b.addr())
			if err != nil {
				client.Close()
				continue
			}
			go func() { _, _ = io.Copy(server, client); server.Close() }()
			go func() { _, _ = io.Copy(client, server); client.Close() }()
			out <- server
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, out
}
