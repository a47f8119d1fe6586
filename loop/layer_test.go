package loop

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

// fakeLayer is a Layer made of functions; what is nil passes bytes on.
type fakeLayer struct {
	in      func(up, down, b []byte) ([]byte, []byte, error)
	out     func(down, b []byte) []byte
	passes  bool
	holds   bool
	dropped chan bool
}

func (f *fakeLayer) In(up, down, b []byte) ([]byte, []byte, error) {
	if f.in != nil {
		return f.in(up, down, b)
	}
	return append(up, b...), down, nil
}

func (f *fakeLayer) Out(down, b []byte) []byte {
	if f.out != nil {
		return f.out(down, b)
	}
	return append(down, b...)
}

func (f *fakeLayer) Close(down []byte) []byte { return append(down, '.') }
func (f *fakeLayer) Passes() bool             { return f.passes }
func (f *fakeLayer) Holds() bool              { return f.holds }
func (f *fakeLayer) Drop()                    { f.dropped <- true }

func flip(to, b []byte) []byte {
	for _, c := range b {
		to = append(to, c^0x20)
	}
	return to
}

// serveLayers runs an echo behind layers and connects to it. Why the connection ends comes from the channel.
func serveLayers(t *testing.T, layers func(*Conn) []Layer) (net.Conn, <-chan error) {
	t.Helper()
	ended := make(chan error, 1)
	h := &handler{opened: func(c *Conn) { c.SetLayers(layers(c)...) }, closed: func(_ *Conn, err error) { ended <- err }}
	_, addr := serve(t, "127.0.0.1", h)
	return dial(t, addr), ended
}

func TestLayerThatPassesLeavesItsRestToTheNext(t *testing.T) {
	first := &fakeLayer{dropped: make(chan bool, 1)}
	first.in = func(up, down, b []byte) ([]byte, []byte, error) {
		first.passes = true
		return append(up, bytes.TrimPrefix(b, []byte("head"))...), down, nil
	}
	// Longer than what it gets, so that it would overwrite it.
	second := &fakeLayer{dropped: make(chan bool, 1), in: func(up, down, b []byte) ([]byte, []byte, error) {
		for _, c := range b {
			up = append(up, c, c)
		}
		return up, down, nil
	}}
	conn, _ := serveLayers(t, func(*Conn) []Layer { return []Layer{first, second} })
	if _, err := conn.Write([]byte("headabc")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 6)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "aabbcc" {
		t.Errorf("%q, %v", got, err)
	}
	conn.Close()
	<-second.dropped
}

func TestLayerEndsBehindItsLastBytes(t *testing.T) {
	failure := errors.New("it has ended")
	layer := &fakeLayer{out: flip, dropped: make(chan bool, 2)}
	layer.in = func(up, down, b []byte) ([]byte, []byte, error) { return flip(up, b), append(down, '!'), failure }
	conn, ended := serveLayers(t, func(*Conn) []Layer { return []Layer{layer} })
	if _, err := conn.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != "!last." {
		t.Errorf("%q, %v", got, err)
	}
	if err := <-ended; err != failure {
		t.Error(err)
	}
	<-layer.dropped
	if len(layer.dropped) > 0 {
		t.Error("dropped twice")
	}
}

// TestReasonOfAnEndOutlivesItsWrite has a peer that is gone when it is told.
func TestReasonOfAnEndOutlivesItsWrite(t *testing.T) {
	failure := errors.New("it has ended")
	peer := make(chan *net.TCPConn, 1)
	layer := &fakeLayer{dropped: make(chan bool, 1)}
	layer.in = func(up, down, _ []byte) ([]byte, []byte, error) {
		c := <-peer
		_ = c.SetLinger(0)
		c.Close()
		return up, append(down, "an answer"...), failure
	}
	conn, ended := serveLayers(t, func(*Conn) []Layer { return []Layer{layer} })
	peer <- conn.(*net.TCPConn)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != failure {
		t.Error(err)
	}
}

func TestLayerHoldsUntilItIsWoken(t *testing.T) {
	layer := &fakeLayer{dropped: make(chan bool, 1)}
	working := make(chan Waker, 1)
	var most int
	var conn *Conn
	layer.in = func(up, down, b []byte) ([]byte, []byte, error) {
		if most = max(most, len(b)); len(b) == 0 {
			layer.holds = false
			return append(up, "woken "...), down, nil
		}
		if !layer.holds && len(b) == 1 {
			layer.holds = true
			working <- conn.Waker()
			return up, down, nil
		}
		return append(up, b...), down, nil
	}
	client, _ := serveLayers(t, func(c *Conn) []Layer { conn = c; return []Layer{layer} })
	if _, err := client.Write([]byte("1")); err != nil {
		t.Fatal(err)
	}
	w := <-working
	if _, err := client.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	w.Wake()
	if got, err := io.ReadAll(client); err != nil || string(got) != "woken more." {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLayerThatAnswersTooMuchEnds(t *testing.T) {
	layer := &fakeLayer{dropped: make(chan bool, 1)}
	answer := make([]byte, 64<<10)
	layer.in = func(up, down, b []byte) ([]byte, []byte, error) { return up, append(down, answer...), nil }
	conn, ended := serveLayers(t, func(*Conn) []Layer { return []Layer{layer} })
	for {
		if _, err := conn.Write([]byte("x")); err != nil {
			break
		}
		select {
		case err := <-ended:
			if err != errAnswers {
				t.Error(err)
			}
			return
		default:
		}
	}
	if err := <-ended; err != errAnswers {
		t.Error(err)
	}
}
