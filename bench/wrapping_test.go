package bench

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFramesAreOpenedHoweverTheyAreCut(t *testing.T) {
	long := bytes.Repeat([]byte("b"), 300)
	var stream []byte
	stream = append(stream, wsFinal|wsBinary, 3, 'a', 'a', 'a')
	stream = append(stream, wsFinal|wsPing, 2, 'n', 'o')
	stream = append(stream, wsBinary, wsLength16, 1, 44)
	stream = append(stream, long...)
	stream = append(stream, wsFinal|wsContinuation, wsLength64, 0, 0, 0, 0, 0, 0, 0, 2, 'c', 'c')
	want := "aaa" + string(long) + "cc"
	for cut := range len(stream) {
		w := &wsWrapping{}
		plain, err := w.open(nil, stream[:cut])
		if err == nil {
			plain, err = w.open(plain, stream[cut:])
		}
		if err != nil || string(plain) != want {
			t.Fatalf("cut at %d: %d bytes, %v", cut, len(plain), err)
		}
	}
}

func TestFramesThatNoBrokerMaySendEndTheRun(t *testing.T) {
	f := func(want error, frame ...byte) {
		t.Helper()
		if _, err := (&wsWrapping{}).open(nil, frame); !errors.Is(err, want) {
			t.Errorf("frame % x: %v, want %v", frame, err, want)
		}
	}
	f(io.EOF, wsFinal|wsClose, 0)
	f(errWebSocket, wsFinal|wsBinary, wsMasked|1, 1, 2, 3, 4, 5)
	f(errWebSocket, wsFinal|0x40|wsBinary, 1, 'a')
	f(errWebSocket, wsFinal|0x1, 1, 'a')
	f(errWebSocket, wsFinal|wsPing, wsLength16, 0, 126)
}

func TestPacketsThatWaitTogetherShareAFrame(t *testing.T) {
	for _, size := range []int{1, 125, 126, 1<<16 - 1, 1 << 16} {
		b := bytes.Repeat([]byte("x"), size)
		sealed, err := (&wsWrapping{}).seal([]byte("before"), b)
		if err != nil {
			t.Fatal(err)
		}
		server := &testWebSocket{in: bufio.NewReader(bytes.NewReader(sealed[len("before"):]))}
		if opcode, data, err := server.readFrame(); err != nil || opcode != wsFinal|wsBinary || !bytes.Equal(data, b) {
			t.Errorf("%d bytes: opcode %d, %d bytes, %v", size, opcode, len(data), err)
		}
	}
}

// TestPacketsThatWaitTogetherShareARecord has a server that sends everything back, and reads it one byte at a time.
func TestPacketsThatWaitTogetherShareARecord(t *testing.T) {
	dir := t.TempDir()
	wrap, err := newWrap(overTLS, dir)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certName), filepath.Join(dir, keyName))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	serveTests(t, l, func(conn net.Conn) (net.Conn, error) {
		_, err := io.Copy(conn, conn)
		return nil, errors.Join(err, io.EOF)
	})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{fd: fd}
	defer c.close()
	if err := c.open(l.Addr().(*net.TCPAddr).Port); err != nil {
		t.Fatal(err)
	}
	if c.wrap, err = wrap(fd); err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("packet"), 2000)
	for range 2 {
		sealed, err := c.wrap.seal(nil, want)
		if err != nil || len(sealed) < 5 || int(binary.BigEndian.Uint16(sealed[3:])) != len(sealed)-5 {
			t.Fatalf("%d bytes that are not one record, %v", len(sealed), err)
		}
		if err := writeBlocking(fd, sealed); err != nil {
			t.Fatal(err)
		}
		var plain []byte
		var b [1]byte
		for len(plain) < len(want) {
			if _, err := readBlocking(fd, b[:]); err != nil {
				t.Fatal(err)
			}
			if plain, err = c.wrap.open(plain, b[:]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(plain, want) {
			t.Fatal("something else came back")
		}
	}
}

// TestWhatIsSealedWaitsForTheSocket fills a socket: what is published meanwhile is sealed only when the rest is gone.
func TestWhatIsSealedWaitsForTheSocket(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, peer := &client{fd: fds[0], wrap: &wsWrapping{}}, &client{fd: fds[1]}
	defer c.close()
	defer peer.close()
	c.out = make([]byte, 4<<20)
	done, err := c.flush()
	if done || err != nil || len(c.out) > 0 || c.waiting() == 0 {
		t.Fatalf("done %v, %v, %d bytes wait", done, err, c.waiting())
	}
	c.out = append(c.out, "later"...)
	buf, taken := make([]byte, 1<<20), 0
	for done = false; !done; {
		n, errno := rawRead(peer.fd, buf)
		if errno == 0 {
			taken += n
		}
		if done, err = c.flush(); err != nil {
			t.Fatal(err)
		}
	}
	for {
		n, errno := rawRead(peer.fd, buf)
		if errno != 0 {
			break
		}
		taken += n
	}
	if want := 4<<20 + wsHeaderMax + 4 + len("later") + 2 + 4; taken != want || c.waiting() != 0 {
		t.Fatalf("%d bytes came, want %d; %d wait", taken, want, c.waiting())
	}
}

func TestTransportsThatAScenarioCannotHave(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := parseScenario("test", text)
		if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	f("idle 5\ntransport tls", "")
	f("publishers 1\nsubscribers 1\nrate 5\ntransport websockets", "")
	f("idle 5\ntransport quic", "neither tls nor websockets")
	f("connects 5\ntransport tls", "not for durable, connects")
	f("publishers 1\nsubscribers 1\nrate 5\nfilters 7\ntransport tls", "filters")
	secure := scenario{transport: overTLS}
	if (brokerSpec{name: "floor"}).lacks(secure) == "" || (brokerSpec{name: "mosquitto"}).lacks(secure) != "" {
		t.Error("the floor speaks TLS, or Mosquitto does not")
	}
}

func TestTheReportSaysWhenTheLoadProgramWasTheBound(t *testing.T) {
	s := scenario{name: "s", transport: overTLS, outstanding: 1}
	var out strings.Builder
	printScenario(&out, s, []brokerSpec{{name: "a"}, {name: "b"}}, []result{
		{Scenario: "s", Broker: "a", Rep: 1, CPUMicros: 1, Rate: 90, BrokerCPU: 0.8, GeneratorCPU: 0.99},
		{Scenario: "s", Broker: "b", Rep: 1, CPUMicros: 1, Rate: 30, BrokerCPU: 1, GeneratorCPU: 0.5},
	})
	for _, want := range []string{"msg/s, a/b: 3.00", "a waits for the load program, which has 99 %"} {
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "b waits") {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
