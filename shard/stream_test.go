package shard

import (
	"bytes"
	"testing"

	"github.com/noctulemq/noctule/config"
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
