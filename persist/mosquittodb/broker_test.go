package mosquittodb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
)

const mosquitto = "/usr/sbin/mosquitto"

// patience is how long anything may take that must happen.
const patience = 20 * time.Second

// broker is a Mosquitto with a database.
type broker struct {
	t    *testing.T
	port int
	db   string // its file
	cmd  *exec.Cmd
	done chan error
}

// startMosquitto runs Debian's Mosquitto with a window of that many messages on a database, nil for none.
func startMosquitto(t *testing.T, window int, db []byte) *broker {
	t.Helper()
	out, err := exec.Command(mosquitto, "-h").CombinedOutput()
	if len(out) == 0 {
		t.Skipf("install mosquitto to run this test: %v", err)
	}
	if line, _, _ := strings.Cut(string(out), "\n"); line != "mosquitto version 2.0.11" {
		t.Skipf("the test knows what 2.0.11 does, this is %s", line)
	}
	for range 5 { // the port may be taken between its choice and its use
		var b *broker
		if b, err = tryMosquitto(t, window, db); err == nil {
			t.Cleanup(func() { _ = b.cmd.Process.Kill() })
			return b
		}
	}
	t.Fatal(err)
	return nil
}

func tryMosquitto(t *testing.T, window int, db []byte) (*broker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &broker{t: t, port: l.Addr().(*net.TCPAddr).Port, done: make(chan error, 1)}
	l.Close()
	dir := t.TempDir()
	b.db = filepath.Join(dir, "mosquitto.db")
	if db != nil {
		if err := os.WriteFile(b.db, db, 0o600); err != nil {
			return nil, err
		}
	}
	conf := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nuser root\nallow_anonymous true\npersistence true\npersistence_location %s/\n"+
		"max_inflight_messages %d\nqueue_qos0_messages true\nsys_interval 0\n", b.port, dir, window)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	b.cmd = exec.Command(mosquitto, "-c", conf)
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := b.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	up := make(chan error, 1)
	go func() {
		var all strings.Builder
		for scan := bufio.NewScanner(log); scan.Scan(); {
			all.WriteString(scan.Text() + "\n")
			if strings.HasSuffix(scan.Text(), "running") {
				up <- nil
			}
		}
		err := b.cmd.Wait()
		up <- fmt.Errorf("mosquitto ended: %v\n%s", err, all.String())
		b.done <- err
	}()
	return b, <-up
}

// stop ends the broker and returns the database that it wrote.
func (b *broker) stop() []byte {
	b.t.Helper()
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-b.done:
		if err != nil {
			b.t.Fatalf("mosquitto: %v", err)
		}
	case <-time.After(patience):
		b.t.Fatal("mosquitto does not end")
	}
	file, err := os.ReadFile(b.db)
	if err != nil {
		b.t.Fatal(err)
	}
	return file
}

// peer is a client of a broker, one packet at a time.
type peer struct {
	t    *testing.T
	v    codec.Version
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
}

// connect opens a session and returns whether there was one.
func (b *broker) connect(v codec.Version, c codec.Connect) (*peer, bool) {
	b.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.port))
	if err != nil {
		b.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	b.t.Cleanup(func() { conn.Close() })
	p := &peer{t: b.t, v: v, conn: conn, in: bufio.NewReader(conn)}
	c.KeepAlive, c.RequestProblemInfo = 60, true
	p.send(c.Append(nil, v))
	h, body := p.next(codec.TypeConnack)
	var ack codec.Connack
	if err := ack.Decode(h, body, v); err != nil || ack.Code != 0 {
		b.t.Fatalf("CONNACK: %v, %v", err, ack.Code)
	}
	return p, ack.SessionPresent
}

func (p *peer) send(packet []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(packet); err != nil {
		p.t.Fatal(err)
	}
}

// next reads the next packet, which must be of the type wanted, unless that is 0.
func (p *peer) next(want codec.Type) (codec.Header, []byte) {
	p.t.Helper()
	var h codec.Header
	var head []byte
	var err error
	size := 0
	for n := 2; err == nil && size == 0; n++ {
		if head, err = p.in.Peek(n); err == nil {
			h, size, err = codec.DecodeHeader(head)
		}
	}
	p.buf = make([]byte, h.Remaining)
	if err == nil {
		_, _ = p.in.Discard(size)
		_, err = io.ReadFull(p.in, p.buf)
	}
	if err != nil {
		p.t.Fatalf("wait for a packet: %v", err)
	}
	if want != 0 && h.Type != want {
		p.t.Fatalf("%v came instead of %v", h.Type, want)
	}
	return h, p.buf
}

func (p *peer) subscribe(id uint32, filters ...codec.Subscription) {
	p.t.Helper()
	s := codec.Subscribe{PacketID: 1, SubID: id, Filters: filters}
	p.send(s.Append(nil, p.v))
	p.next(codec.TypeSuback)
}

// publish sends a message and completes its handshake, but for the PUBREL of one that is to be held.
func (p *peer) publish(out codec.PublishOut, hold bool) {
	p.t.Helper()
	out.Version = p.v
	p.send(out.Append(nil))
	switch {
	case out.QoS == 1:
		p.next(codec.TypePuback)
	case out.QoS == 2:
		p.next(codec.TypePubrec)
		if !hold {
			p.send(codec.AppendAck(nil, codec.TypePubrel, p.v, out.PacketID, 0))
			p.next(codec.TypePubcomp)
		}
	}
}

// receive is one packet that came, as text, with its packet identifier.
func (p *peer) receive() (text string, t codec.Type, qos uint8, id uint16) {
	p.t.Helper()
	h, body := p.next(0)
	switch h.Type {
	case codec.TypePublish:
		var in codec.Publish
		if err := in.DecodeFromServer(h, body, p.v); err != nil {
			p.t.Fatal(err)
		}
		text = fmt.Sprintf("PUBLISH q%d id %d %s %q", in.QoS, in.PacketID, in.Topic, in.Payload)
		if in.Dup {
			text += " dup"
		}
		if in.Retain {
			text += " retain"
		}
		if in.HasExpiry {
			text += " expires"
		}
		if props := in.ForwardProps(nil); len(props) > 0 {
			text += fmt.Sprintf(" %x", props)
		}
		if len(in.SubIDs) > 0 {
			text += fmt.Sprintf(" %d", in.SubIDs)
		}
		return text, h.Type, in.QoS, in.PacketID
	case codec.TypePingresp:
		return "", h.Type, 0, 0
	}
	var ack codec.Ack
	if err := ack.Decode(h, body, p.v); err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprintf("%v id %d", h.Type, ack.PacketID), h.Type, 0, ack.PacketID
}

// drain answers whatever comes until nothing does, and returns it.
func (p *peer) drain() (all []string) {
	p.t.Helper()
	for quiet := 0; quiet < 2; { // what an answer sets free comes before the answer to the next ping
		p.send(codec.AppendPingreq(nil))
		for came := 0; ; came++ {
			text, t, qos, id := p.receive()
			if t == codec.TypePingresp {
				if quiet++; came > 0 {
					quiet = 0
				}
				break
			}
			all = append(all, text)
			switch {
			case t == codec.TypePublish && qos == 1:
				p.send(codec.AppendAck(nil, codec.TypePuback, p.v, id, 0))
			case t == codec.TypePublish && qos == 2:
				p.send(codec.AppendAck(nil, codec.TypePubrec, p.v, id, 0))
			case t == codec.TypePubrel:
				p.send(codec.AppendAck(nil, codec.TypePubcomp, p.v, id, 0))
			}
		}
	}
	return all
}

// leave closes the connection without a DISCONNECT and waits until the broker has done so too.
func (p *peer) leave() {
	p.t.Helper()
	_ = p.conn.(*net.TCPConn).CloseWrite()
	if _, err := io.Copy(io.Discard, p.in); err != nil && !errors.Is(err, net.ErrClosed) {
		p.t.Fatal(err)
	}
	p.conn.Close()
}

// read is Read of a file that must be whole.
func read(t *testing.T, file []byte) *DB {
	t.Helper()
	db, notes, err := Read(bytes.NewReader(file))
	if err != nil || len(notes) > 0 {
		t.Fatalf("Read: %v, %q", err, notes)
	}
	return db
}

func write(t *testing.T, db *DB) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := db.Write(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}
