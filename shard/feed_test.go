package shard

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"github.com/noctulemq/noctule/persist"
)

// feed is a loop.System without state for each socket, so that what a measurement sees is the broker's: sockets are
// numbers, each reads greeting(fd) once and then what say puts in; what the broker writes is counted and dropped.
type feed struct {
	greeting func(fd int32) []byte
	toAccept int32 // sockets that wait
	accepted int32
	fresh    []int32 // accepted, greeting not read
	tokens   []uint64
	said     map[int32][]byte
	events   []loop.Event
	written  int
	last     []byte // the last write
	clock    int64
}

func (f *feed) Poll(events []loop.Event, _ int64) int {
	n := 0
	if f.accepted < f.toAccept {
		events[0] = loop.Event{Token: 1 << 63, Ready: loop.Readable}
		n = 1
	}
	k := copy(events[n:], f.events)
	f.events = f.events[:copy(f.events, f.events[k:])]
	return n + k
}

func (f *feed) Accept(int32, bool) (int32, netip.AddrPort, syscall.Errno) {
	if f.accepted == f.toAccept {
		return 0, netip.AddrPort{}, syscall.EAGAIN
	}
	fd := f.accepted
	f.accepted++
	return fd, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(fd)), 0
}

func (f *feed) Watch(fd int32, token uint64) error {
	f.tokens = append(f.tokens, token)
	f.fresh = append(f.fresh, fd)
	f.events = append(f.events, loop.Event{Token: token, Ready: loop.Readable})
	return nil
}

func (f *feed) Read(fd int32, b []byte) (int, syscall.Errno) {
	for i, have := range f.fresh {
		if have == fd {
			f.fresh = append(f.fresh[:i], f.fresh[i+1:]...)
			return copy(b, f.greeting(fd)), 0
		}
	}
	if p := f.said[fd]; len(p) > 0 {
		n := copy(b, p)
		f.said[fd] = p[n:]
		return n, 0
	}
	return 0, syscall.EAGAIN
}

// say lets a socket send bytes, borrowed until they are read.
func (f *feed) say(fd int32, b []byte) {
	f.said[fd] = b
	f.events = append(f.events, loop.Event{Token: f.tokens[fd], Ready: loop.Readable})
}

func (f *feed) Write(_ int32, b []byte) (int, syscall.Errno) {
	f.written += len(b)
	f.last = append(f.last[:0], b...)
	return len(b), 0
}

func (f *feed) Writev(_ int32, bufs [][]byte) (int, syscall.Errno) {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	f.written += n
	return n, 0
}

func (f *feed) WatchAccept(int32, uint64) error { return nil }
func (f *feed) Forget(int32)                    {}
func (f *feed) Wake()                           {}
func (f *feed) Close(int32)                     {}
func (f *feed) PeerGone(int32) bool             { return false }
func (f *feed) Now() int64                      { f.clock++; return f.clock }

// feedBroker makes a broker of one loop with n clients, each greeted, and turns until all are connected.
func feedBroker(t testing.TB, n int32, cfg *config.Config, greeting func(fd int32) []byte) (*feed, *loop.Loop, *Broker) {
	t.Helper()
	return feedBrokerWith(t, n, Options{Config: cfg}, greeting)
}

// feedBrokerWith is feedBroker with more options.
func feedBrokerWith(t testing.TB, n int32, o Options, greeting func(fd int32) []byte) (*feed, *loop.Loop, *Broker) {
	t.Helper()
	f := &feed{greeting: greeting, toAccept: n, said: make(map[int32][]byte)}
	g, err := loop.NewGroup(1, loop.GroupOptions{System: func(int) (loop.System, error) { return f, nil }})
	if err != nil {
		t.Fatal(err)
	}
	o.Group, o.Seed = g, 1
	b := New(o)
	ls := loop.NewSimNet(1).Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	ls.Tag = NewListener(config.NewListener(), Everyone{})
	if err := g.Loop(0).Listen(ls); err != nil {
		t.Fatal(err)
	}
	for b.clients.Load() < int64(n) {
		if !g.Loop(0).Turn(false) {
			t.Fatalf("%d of %d clients connected", b.clients.Load(), n)
		}
	}
	return f, g.Loop(0), b
}

// hello is CONNECT and one SUBSCRIBE.
func hello(id, filter string, qos uint8) []byte {
	c := codec.Connect{Version: codec.V311, CleanStart: true, ClientID: id}
	b := c.Append(nil, codec.V311)
	s := codec.Subscribe{PacketID: 1, Filters: []codec.Subscription{{Filter: filter, QoS: qos}}}
	return s.Append(b, codec.V311)
}

func publishPacket(qos uint8, id uint16) []byte {
	p := codec.PublishOut{Version: codec.V311, QoS: qos, PacketID: id, Topic: "bench/topic", Payload: make([]byte, 128)}
	return p.Append(nil)
}

// fanoutTurn publishes one QoS 0 message from a client that is not subscribed to it, to n-1 receivers.
func fanoutTurn(t testing.TB, n int32) func() {
	f, l, _ := feedBroker(t, n, config.Default(), func(fd int32) []byte {
		if fd == 0 {
			return hello("publisher", "other", 0)
		}
		return hello(fmt.Sprint("receiver", fd), "bench/+", 0)
	})
	packet := publishPacket(0, 0)
	return func() {
		before := f.written
		f.say(0, packet)
		l.Turn(false)
		if got := f.written - before; got != len(packet)*int(n-1) {
			t.Fatalf("%d bytes written, want %d", got, len(packet)*int(n-1))
		}
	}
}

// pairTurn publishes one message to one subscriber and acknowledges it on both sides.
func pairTurn(t testing.TB, qos uint8) func() {
	return pairTurnWith(t, qos, Options{Config: config.Default()})
}

// pairTurnWith is pairTurn with options; with a store the subscriber's session is stored.
func pairTurnWith(t testing.TB, qos uint8, o Options) func() {
	f, l, b := feedBrokerWith(t, 2, o, func(fd int32) []byte {
		if fd == 0 {
			return hello("publisher", "other", 0)
		}
		h := hello("receiver", "bench/+", qos)
		if o.Store != nil {
			h[9] &^= 2 // no clean session
		}
		return h
	})
	for b.shards[0].index.Len() < 2 {
		l.Turn(false)
	}
	turn := func() {
		for range 3 {
			if l.Turn(false); o.Store == nil {
				return
			}
		}
	}
	packet := publishPacket(qos, 7)
	pubrel := codec.AppendAck(nil, codec.TypePubrel, codec.V311, 7, codec.Success)
	id := uint16(0)
	answer := make([]byte, 0, 16)
	reply := func(t codec.Type) {
		answer = codec.AppendAck(answer[:0], t, codec.V311, id, codec.Success)
		f.say(1, answer)
		turn()
	}
	ss := b.shards[0].sessions.at(b.shards[0].byID["receiver"])
	return func() {
		f.say(0, packet)
		turn()
		if qos == 2 {
			f.say(0, pubrel)
			turn()
		}
		if id++; id == 0 {
			id = 1
		}
		if qos == 1 {
			reply(codec.TypePuback)
		} else {
			reply(codec.TypePubrec)
			reply(codec.TypePubcomp)
		}
		if ss.out.n != 0 {
			t.Fatalf("%d deliveries are left", ss.out.n)
		}
	}
}

func TestSteadyTrafficAllocatesNothing(t *testing.T) {
	f := func(name string, turn func()) {
		t.Helper()
		for range 100 {
			turn()
		}
		if got := testing.AllocsPerRun(500, turn); got != 0 {
			t.Errorf("%s: %v allocations for each message, want none", name, got)
		}
	}
	f("QoS 0 to 10", fanoutTurn(t, 11))
	f("QoS 1 pair", pairTurn(t, 1))
	f("QoS 2 pair", pairTurn(t, 2))
	store := persist.NewMemory()
	store.Auto = true
	f("QoS 1 pair with a store", pairTurnWith(t, 1, Options{Config: config.Default(), Store: store}))
	if n := store.Stats().Ops; n > 4 {
		t.Errorf("%d changes stored for messages that are acknowledged at once", n)
	}
}

func BenchmarkFanoutQoS0(b *testing.B) {
	for _, subs := range []int32{1, 10, 100} {
		b.Run(fmt.Sprintf("subs=%d", subs), func(b *testing.B) {
			turn := fanoutTurn(b, subs+1)
			b.ReportAllocs()
			for b.Loop() {
				turn()
			}
		})
	}
}

func BenchmarkPair(b *testing.B) {
	for _, qos := range []uint8{1, 2} {
		b.Run(fmt.Sprintf("qos=%d", qos), func(b *testing.B) {
			turn := pairTurn(b, qos)
			b.ReportAllocs()
			for b.Loop() {
				turn()
			}
		})
	}
}

func BenchmarkPairStored(b *testing.B) {
	for _, qos := range []uint8{1, 2} {
		b.Run(fmt.Sprintf("qos=%d", qos), func(b *testing.B) {
			store := persist.NewMemory()
			store.Auto = true
			turn := pairTurnWith(b, qos, Options{Config: config.Default(), Store: store})
			b.ReportAllocs()
			for b.Loop() {
				turn()
			}
		})
	}
}

// TestIdleSessionCost measures everything the heap holds for a connected client with one subscription of its own.
// NOCTULE_SCALE=1 takes a million of them.
func TestIdleSessionCost(t *testing.T) {
	n := int32(50_000)
	if os.Getenv("NOCTULE_SCALE") != "" {
		n = 1_000_000
	}
	before := heapInUse()
	f, l, b := feedBroker(t, n, config.Default(), func(fd int32) []byte {
		return hello(fmt.Sprintf("device-%07d", fd), fmt.Sprintf("devices/%07d/commands", fd), 1)
	})
	f.tokens, f.fresh, f.events, f.said, f.last = nil, nil, nil, nil, nil
	each := (heapInUse() - before) / int64(n)
	t.Logf("%d sessions: %d bytes each", n, each)
	if each > 1024 {
		t.Errorf("an idle session with one subscription costs %d bytes, at most 1024", each)
	}
	if got := b.shards[0].index.Len(); got != int(n) {
		t.Errorf("%d subscriptions, want %d", got, n)
	}
	runtime.KeepAlive(l)
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
