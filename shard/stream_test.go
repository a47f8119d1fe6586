package shard

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
)

// BenchmarkStream is one publisher whose reads bring many QoS 0 messages at once, and one subscriber: what a message
// costs beside the kernel.
func BenchmarkStream(b *testing.B) {
	const batch = 400
	f, l, _ := feedBroker(b, 2, config.Default(), func(fd int32) []byte {
		if fd == 0 {
			return hello("publisher", "other", 0)
		}
		return hello("subscriber", "bench/topic", 0)
	})
	packets := bytes.Repeat(publishPacket(0, 0), batch)
	b.ReportAllocs()
	for n := 0; n < b.N; n += batch {
		f.say(0, packets)
		for len(f.said[0]) > 0 {
			l.Turn(false)
		}
	}
	if f.written < b.N*128 {
		b.Fatalf("%d bytes came out", f.written)
	}
}

// BenchmarkCross is BenchmarkStream with the subscriber on another loop, both loops turned in turn: what crossing costs
// beside the threads' switches.
func BenchmarkCross(b *testing.B) {
	const batch = 400
	feeds := [2]*feed{}
	for i := range feeds {
		feeds[i] = &feed{said: make(map[int32][]byte)}
	}
	g, err := loop.NewGroup(2, loop.GroupOptions{System: func(i int) (loop.System, error) { return feeds[i], nil }})
	if err != nil {
		b.Fatal(err)
	}
	br := New(Options{Config: config.Default(), Group: g, Seed: 1})
	name := func(home int) string {
		for n := 0; ; n++ {
			if id := fmt.Sprint("c", n); br.home(id) == home {
				return id
			}
		}
	}
	ls := loop.NewSimNet(1).Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	ls.Tag = NewListener(config.NewListener(), Everyone{})
	for i, f := range feeds {
		f.toAccept = 1
		f.greeting = func(int32) []byte { return hello(name(i), []string{"other", "bench/topic"}[i], 0) }
		if err := g.Loop(i).Listen(ls); err != nil {
			b.Fatal(err)
		}
	}
	turn := func() { g.Loop(0).Turn(false); g.Loop(1).Turn(false) }
	for range 10 {
		turn()
	}
	packets := bytes.Repeat(publishPacket(0, 0), batch)
	b.ReportAllocs()
	before := feeds[1].written
	for n := 0; n < b.N; n += batch {
		feeds[0].say(0, packets)
		for len(feeds[0].said[0]) > 0 {
			turn()
		}
	}
	if feeds[1].written-before < b.N*128 {
		b.Fatalf("%d bytes came out", feeds[1].written-before)
	}
}
