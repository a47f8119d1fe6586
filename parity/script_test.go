package parity

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// patience is how long anything may take that must happen; a script that is right never waits for it.
const patience = 10 * time.Second

// script is one run of one conversation against one broker: its connections by name, and the notes of what was sent and
// what came. It never fails a test; what goes wrong is a line of the notes, and the notes are compared.
type script struct {
	level  int    // of connections that say nothing else
	tag    string // begins every client identifier and topic
	broker *broker
	links  []*link // in the order they were opened
	notes  []string
	step   int // where in the notes the answers to the last step begin
}

// link is one connection.
type link struct {
	name  string
	conn  net.Conn
	in    *bufio.Reader
	state linkState
}

type linkState int

const (
	raw   linkState = iota // no CONNACK yet; a PINGREQ would be a mistake
	open                   // accepted
	ended                  // closed by either side
)

// topic is a topic or client identifier of this conversation alone.
func (s *script) topic(name string) string { return s.tag + "/" + name }

// notef writes a line of the notes.
func (s *script) notef(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// begin notes a step.
func (s *script) begin(format string, args ...any) {
	s.notef(format, args...)
	s.step = len(s.notes)
}

// at returns the connection of a name.
func (s *script) at(who string) *link {
	i := slices.IndexFunc(s.links, func(l *link) bool { return l.name == who })
	if i < 0 {
		panic("BUG: the conversation has no connection " + who)
	}
	return s.links[i]
}

// dial opens a connection to the first port and says nothing. A name can be used again when its connection has ended.
func (s *script) dial(who string) *link { return s.dialTo(who, 1) }

func (s *script) dialTo(who string, port int) *link {
	s.links = slices.DeleteFunc(s.links, func(l *link) bool { return l.name == who && l.state == ended })
	l := &link{name: who, state: ended}
	s.links = append(s.links, l)
	conn, err := s.broker.dial(port)
	if err != nil {
		s.notef("%s cannot connect", who)
		return l
	}
	l.conn, l.in, l.state = conn, bufio.NewReader(conn), raw
	return l
}

// join opens a connection, sends CONNECT and reads the answer.
func (s *script) join(who string, h hello) { s.joinAt(who, 1, h) }

func (s *script) joinAt(who string, port int, h hello) {
	l := s.dialTo(who, port)
	s.hello(l, s.fill(who, h).bytes())
}

// hello sends the first packets of a connection. One that is answered with acceptance is open from then on; all others
// are read until the broker closes them.
func (s *script) hello(l *link, packets ...[]byte) {
	s.write(l, packets)
	if l.state == ended {
		return
	}
	p, err := l.read(patience)
	switch {
	case err != nil:
		s.end(l, err)
	case len(p) >= 4 && p[0] == 0x20 && p[3] == 0:
		s.got(l, p)
		l.state = open
	default:
		s.got(l, p)
		s.drain(l)
	}
	s.settle()
}

// fill completes a hello.
func (s *script) fill(who string, h hello) hello {
	if h.level == 0 {
		h.level = s.level
	}
	if h.id == "" && !h.noID {
		h.id = s.topic(who)
	}
	if h.keepAlive == 0 {
		h.keepAlive = 60
	}
	return h
}

// send writes packets at once and notes everything that any connection gets for it.
func (s *script) send(who string, packets ...[]byte) {
	s.write(s.at(who), packets)
	s.settle()
}

// trickle sends a packet but for its last byte, each byte alone, and returns that last byte.
func (s *script) trickle(who string, packet []byte) []byte {
	last := len(packet) - 1
	if l := s.at(who); l.state != ended {
		for _, b := range packet[:last] {
			_, _ = l.conn.Write([]byte{b})
		}
	}
	return packet[last:]
}

// publish sends a message; the topic is one of the conversation.
func (s *script) publish(who string, m message) {
	m.topic = s.topic(m.topic)
	s.send(who, m.bytes(s.level))
}

// subscribe sends a SUBSCRIBE with packet identifier 1 for one filter of the conversation.
func (s *script) subscribe(who, filter string, options int) {
	s.send(who, subscribe(s.level, 1, s.topic(filter), options))
}

// leave sends DISCONNECT, with the bytes of its body, and waits for the close.
func (s *script) leave(who string, body ...any) {
	l := s.at(who)
	s.write(l, [][]byte{pkt(disconnectByte, body...)})
	s.drain(l)
	s.settle()
}

// drop ends a connection without DISCONNECT and waits until the broker has noticed.
func (s *script) drop(who string) {
	l := s.at(who)
	s.begin("%s goes away", who)
	if l.state == ended {
		return
	}
	_ = l.conn.(*net.TCPConn).CloseWrite()
	s.drain(l)
	s.settle()
}

// closes waits for the broker to close a connection that it has reason to close.
func (s *script) closes(who string) {
	s.begin("%s waits for the end", who)
	s.drain(s.at(who))
	s.settle()
}

// await waits for something that comes in its own time.
func (s *script) await(who string) {
	s.begin("%s waits", who)
	l := s.at(who)
	if l.state == ended {
		return
	}
	if p, err := l.read(patience); err != nil {
		s.end(l, err)
	} else {
		s.got(l, p)
	}
	s.settle()
}

// finish says goodbye on all connections and notes what was still to come.
func (s *script) finish() {
	s.begin("the end")
	for _, l := range s.links {
		if l.state == open {
			_, _ = l.conn.Write(pkt(disconnectByte))
			s.drain(l)
			s.settle()
		}
		if l.state != ended {
			l.conn.Close()
			l.state = ended
		}
	}
}

// settle returns when the broker has nothing more to say: every accepted connection is asked again and again for a
// PINGRESP, until two rounds brought nothing else.
func (s *script) settle() {
	for quiet, rounds := 0, 0; quiet < 2 && rounds < 100; rounds++ {
		quiet++
		for _, l := range s.links {
			if l.state == open {
				_, _ = l.conn.Write(pkt(pingreqByte))
			}
		}
		for _, l := range s.links {
			for l.state == open {
				p, err := l.read(patience)
				if err == nil && p[0] == 0xD0 {
					break
				}
				quiet = 0
				if err != nil {
					s.end(l, err)
				} else {
					s.got(l, p)
				}
			}
		}
	}
	slices.SortStableFunc(s.notes[s.step:], func(a, b string) int { return s.rank(a) - s.rank(b) })
}

// rank sorts answers by their connection: only the order within a connection is the broker's.
func (s *script) rank(note string) int {
	return slices.IndexFunc(s.links, func(l *link) bool { return l.name == strings.Fields(note)[0] })
}

// drain reads until the broker closes the connection.
func (s *script) drain(l *link) {
	for l.state != ended {
		p, err := l.read(patience)
		if err == nil {
			s.got(l, p)
			continue
		}
		s.end(l, err)
	}
}

// end notes the end of a connection.
func (s *script) end(l *link, err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.notef("  %s hears nothing and is not closed", l.name)
	case errors.Is(err, errNonsense):
		s.notef("  %s gets bytes that are no packet", l.name)
	default:
		s.notef("  %s is closed", l.name)
	}
	l.conn.Close()
	l.state = ended
}

func (s *script) write(l *link, packets [][]byte) {
	var shown []string
	for _, p := range packets {
		shown = append(shown, show(p))
	}
	s.begin("%s > %s", l.name, strings.Join(shown, " + "))
	if l.state == ended {
		return
	}
	_ = l.conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = l.conn.Write(bytes.Join(packets, nil)) // a broker may have closed: what it sends says so
}

func (s *script) got(l *link, p []byte) { s.notef("  %s < %s", l.name, show(normal(p))) }

var errNonsense = errors.New("no packet")

// read reads one packet.
func (l *link) read(d time.Duration) ([]byte, error) {
	_ = l.conn.SetReadDeadline(time.Now().Add(d))
	first, err := l.in.ReadByte()
	if err != nil {
		return nil, err
	}
	p, n := []byte{first}, 0
	for shift := 0; ; shift += 7 {
		c, err := l.in.ReadByte()
		if err != nil {
			return nil, err
		}
		p, n = append(p, c), n|int(c&0x7F)<<shift
		if c < 0x80 {
			break
		}
		if shift == 21 {
			return nil, errNonsense
		}
	}
	body := make([]byte, n)
	_, err = io.ReadFull(l.in, body)
	return append(p, body...), err
}

var uuid = regexp.MustCompile(`[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`)

// normal takes out of a packet what no two runs have in common: identifiers that the broker made up, and how much of a
// message's time has passed. Conversations give messages 100 or 200 seconds.
func normal(p []byte) []byte {
	p = uuid.ReplaceAllFunc(p, func(id []byte) []byte {
		if strings.ToUpper(string(id)) == string(id) {
			return []byte("XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX")
		}
		return []byte("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
	})
	if p[0]&0xF0 == 0x30 {
		if i := expiryAt(p); i >= 0 && p[i+3]%100 >= 90 {
			p = bytes.Clone(p)
			p[i+3] += 100 - p[i+3]%100
		}
	}
	return p
}

// expiryAt finds the value of the message expiry interval of a PUBLISH: the property begins with 02 00 00, which no text
// of a conversation contains.
func expiryAt(p []byte) int {
	if i := bytes.Index(p, []byte{messageExpiry, 0, 0}); i >= 0 && i+5 <= len(p) {
		return i + 1
	}
	return -1
}

// show writes bytes for people: text in quotes, all else in hexadecimal digits, long packets cut.
func show(p []byte) string {
	const longest = 120
	var out []string
	cut := p[:min(len(p), longest)]
	for i := 0; i < len(cut); {
		j := i
		for j < len(cut) && cut[j] > ' ' && cut[j] <= '~' && cut[j] != '"' && i > 0 {
			j++
		}
		if j-i >= 3 {
			out = append(out, `"`+string(cut[i:j])+`"`)
			i = j
			continue
		}
		out = append(out, fmt.Sprintf("%02X", cut[i]))
		i++
	}
	text := strings.Join(out, " ")
	if len(p) > longest {
		h := fnv.New32a()
		h.Write(p)
		text += fmt.Sprintf(" … (%d bytes, %08x)", len(p), h.Sum32())
	}
	return text
}
