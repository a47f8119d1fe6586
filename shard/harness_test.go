package shard

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
)

// world is a broker on a simulated network, driven by the test's goroutine: nothing happens but in settle and turn.
type world struct {
	t        testing.TB
	net      *loop.SimNet
	group    *loop.Group
	broker   *Broker
	listener *loop.Listener
	log      *logged
}

// logged keeps the lines of a broker's log.
type logged struct{ lines []string }

// Enabled implements Logger.
func (l *logged) Enabled(LogType) bool { return true }

// Log implements Logger.
func (l *logged) Log(_ LogType, text string) { l.lines = append(l.lines, text) }

// newWorld makes a broker of some loops; change, which may be nil, edits the default configuration first.
func newWorld(t testing.TB, loops int, change func(*config.Config, *config.Listener)) *world {
	t.Helper()
	cfg, lc := config.Default(), config.NewListener()
	if change != nil {
		change(cfg, &lc)
	}
	net := loop.NewSimNet(1)
	return newWorldOn(t, net, net.System, loops, cfg, lc)
}

// newWorldOn is newWorld with the operating systems of the loops given.
func newWorldOn(t testing.TB, net *loop.SimNet, system func(int) (loop.System, error), loops int, cfg *config.Config, lc config.Listener) *world {
	t.Helper()
	return newWorldWith(t, net, system, loops, Options{Config: cfg}, lc)
}

// newWorldWith is newWorldOn with more options of the broker.
func newWorldWith(t testing.TB, net *loop.SimNet, system func(int) (loop.System, error), loops int, o Options, lc config.Listener) *world {
	t.Helper()
	w := &world{t: t, net: net, log: &logged{}}
	g, err := loop.NewGroup(loops, loop.GroupOptions{System: system})
	if err != nil {
		t.Fatal(err)
	}
	w.group = g
	tag := NewListener(lc, Everyone{})
	o.Group, o.Seed, o.Log, o.Listeners = g, 1, w.log, []*Listener{tag}
	w.broker = New(o)
	if err := w.broker.Restore(); err != nil {
		t.Fatal(err)
	}
	w.listener = w.net.Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	w.listener.Tag = tag
	for i := range loops {
		if err := g.Loop(i).Listen(w.listener); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// settle turns the loops until nothing is left to do at this time.
func (w *world) settle() {
	w.t.Helper()
	for quiet, turns := 0, 0; quiet < 3; turns++ {
		if turns > 1_000_000 {
			w.t.Fatal("the broker does not come to rest")
		}
		worked := w.net.Busy()
		for i := range w.group.Len() {
			worked = w.group.Loop(i).Turn(false) || worked
		}
		if quiet++; worked {
			quiet = 0
		}
	}
}

// pass lets d go by, in steps short enough for every timer, and settles.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for step := min(d, 500*time.Millisecond); d > 0; d -= step {
		w.net.Clock.Advance(int64(min(step, d)))
		w.settle()
	}
}

// count returns the counters summed over the shards.
func (w *world) count() *Counters {
	var n Counters
	for _, s := range w.broker.shards {
		n.add(&s.count)
	}
	return &n
}

// onLoop returns a client identifier with this prefix whose home is loop i.
func (w *world) onLoop(i int, prefix string) string {
	for n := 0; ; n++ {
		if id := fmt.Sprint(prefix, n); w.broker.home(id) == i {
			return id
		}
	}
}

// logs returns how many log lines contain text.
func (w *world) logs(text string) (n int) {
	for _, line := range w.log.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// peer is the client end of one connection.
type peer struct {
	w       *world
	sock    *loop.SimSocket
	version codec.Version
	id      string
	in      []byte
	nextID  uint16
}

// got is one packet from the broker; what does not belong to its type is zero.
type got struct {
	Type     codec.Type
	Code     codec.ReasonCode
	PacketID uint16
	Codes    []byte // SUBACK, UNSUBACK
	Present  bool   // CONNACK
	Topic    string
	Payload  string
	QoS      uint8
	Retain   bool
	Dup      bool
	SubIDs   []uint32
}

// dial opens a connection and says nothing.
func (w *world) dial() *peer {
	return &peer{w: w, sock: w.net.Dial(w.listener), version: codec.V5}
}

// join connects with version 5 and a clean start; change, which may be nil, edits the CONNECT first.
func (w *world) join(id string, change func(*codec.Connect)) *peer {
	w.t.Helper()
	p := w.dial()
	p.connect(id, change)
	w.settle()
	a := p.next()
	if a.Type != codec.TypeConnack || a.Code != codec.Success {
		w.t.Fatalf("CONNECT of %q answered by %+v", id, a)
	}
	return p
}

// connect sends CONNECT.
func (p *peer) connect(id string, change func(*codec.Connect)) {
	c := codec.Connect{Version: codec.V5, CleanStart: true, ClientID: id}
	if change != nil {
		change(&c)
	}
	p.version, p.id = c.Version, id
	p.sock.Write(c.Append(nil, c.Version))
}

// subscribe enters filters at one QoS and expects the codes to be that QoS.
func (p *peer) subscribe(qos uint8, filters ...string) {
	p.w.t.Helper()
	p.nextID++
	s := codec.Subscribe{PacketID: p.nextID}
	for _, f := range filters {
		s.Filters = append(s.Filters, codec.Subscription{Filter: f, QoS: qos})
	}
	p.sock.Write(s.Append(nil, p.version))
	p.w.settle()
	a := p.next()
	if a.Type != codec.TypeSuback || slices.ContainsFunc(a.Codes, func(c byte) bool { return c != qos }) {
		p.w.t.Fatalf("SUBSCRIBE of %q answered by %+v", filters, a)
	}
}

// publish sends a message; a QoS above 0 takes the next packet identifier. It does not wait.
func (p *peer) publish(qos uint8, topic, payload string, retain bool) {
	o := codec.PublishOut{Version: p.version, QoS: qos, Topic: topic, Payload: []byte(payload), Retain: retain}
	if qos > 0 {
		p.nextID++
		o.PacketID = p.nextID
	}
	p.sock.Write(o.Append(nil))
}

// ack sends one of PUBACK, PUBREC, PUBREL, PUBCOMP.
func (p *peer) ack(t codec.Type, id uint16) {
	p.sock.Write(codec.AppendAck(nil, t, p.version, id, codec.Success))
}

// take settles the world and returns every packet that has come.
func (p *peer) take() (all []got) {
	p.w.t.Helper()
	p.w.settle()
	for {
		g, ok := p.packet()
		if !ok {
			return all
		}
		all = append(all, g)
		p.w.settle()
	}
}

// next returns the next packet that has come; none fails the test.
func (p *peer) next() got {
	p.w.t.Helper()
	g, ok := p.packet()
	if !ok {
		p.w.t.Fatalf("%s: no packet came; ended: %t", p.id, p.sock.Ended())
	}
	return g
}

// payloads returns the payloads of the PUBLISH packets among all.
func payloads(all []got) (out []string) {
	for _, g := range all {
		if g.Type == codec.TypePublish {
			out = append(out, g.Payload)
		}
	}
	return out
}

// packet decodes one whole packet, reading as little as it needs.
func (p *peer) packet() (got, bool) {
	p.w.t.Helper()
	for {
		h, n, err := codec.DecodeHeader(p.in)
		if err != nil {
			p.w.t.Fatal(err)
		}
		if n > 0 && len(p.in) >= n+h.Remaining {
			body := slices.Clone(p.in[n : n+h.Remaining])
			p.in = p.in[n+h.Remaining:]
			return p.decode(h, body), true
		}
		b := p.sock.Read(4096)
		if len(b) == 0 {
			return got{}, false
		}
		p.in = append(p.in, b...)
	}
}

func (p *peer) decode(h codec.Header, body []byte) (g got) {
	p.w.t.Helper()
	g.Type = h.Type
	var err error
	switch h.Type {
	case codec.TypeConnack:
		var a codec.Connack
		err = a.Decode(h, body, p.version)
		g.Code, g.Present = a.Code, a.SessionPresent
	case codec.TypePublish:
		var m codec.Publish
		err = m.DecodeFromServer(h, body, p.version)
		g.Topic, g.Payload, g.QoS, g.Retain, g.Dup = m.Topic, string(m.Payload), m.QoS, m.Retain, m.Dup
		g.PacketID, g.SubIDs = m.PacketID, slices.Clone(m.SubIDs)
	case codec.TypePuback, codec.TypePubrec, codec.TypePubrel, codec.TypePubcomp:
		var a codec.Ack
		err = a.Decode(h, body, p.version)
		g.PacketID, g.Code = a.PacketID, a.Code
	case codec.TypeSuback:
		var a codec.Suback
		err = a.Decode(h, body, p.version)
		g.PacketID, g.Codes = a.PacketID, slices.Clone(a.Codes)
	case codec.TypeUnsuback:
		var a codec.Unsuback
		err = a.Decode(h, body, p.version)
		g.PacketID, g.Codes = a.PacketID, slices.Clone(a.Codes)
	case codec.TypeDisconnect:
		var d codec.Disconnect
		err = d.Decode(h, body, p.version)
		g.Code = d.Code
	}
	if err != nil {
		p.w.t.Fatalf("%v from the broker: %v", h.Type, err)
	}
	return g
}
