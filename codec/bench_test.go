package codec

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// benchPublish is a PUBLISH of 128 bytes of payload to a topic of 24.
func benchPublish(v Version, props string) []byte {
	return wire(0x32, `"sensors/0042/temperature" 0007 `+props+` '`+strings.Repeat("x", 128)+`'`)
}

var benchPublishes = []struct {
	name string
	v    Version
	wire []byte
}{
	{"v311", V311, benchPublish(V311, ``)},
	{"v5", V5, benchPublish(V5, `{}`)},
	{"v5/properties=4", V5, benchPublish(V5, `{01 01 02 0000003C 03 "text/plain" 26 "key" "value"}`)},
}

func BenchmarkDecodePublish(b *testing.B) {
	for _, row := range benchPublishes {
		b.Run(row.name, func(b *testing.B) {
			var p Publish
			b.ReportAllocs()
			b.SetBytes(int64(len(row.wire)))
			for b.Loop() {
				h, n, err := DecodeHeader(row.wire)
				if err == nil {
					err = p.Decode(h, row.wire[n:], row.v)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// variedPublishes are PUBLISH packets whose topics have 3 to 7 levels and 10 to 60 bytes, each unlike the one before.
// high puts letters outside ASCII in.
func variedPublishes(high bool) [][]byte {
	rng := rand.New(rand.NewPCG(3, 4))
	words := []string{"site", "line", "machine", "unit", "temperature", "hum", "kitchen", "v", "device", "status"}
	if high {
		words = []string{"büro", "küche", "größe", "温度", "unit", "tür", "länge", "v", "gerät", "état"}
	}
	all := make([][]byte, 1024)
	for i := range all {
		var topic string
		for len(topic) < 10 || len(topic) > 60 {
			levels := make([]string, 3+rng.IntN(5))
			for l := range levels {
				levels[l] = words[rng.IntN(len(words))] + fmt.Sprint(rng.IntN([]int{10, 1000, 100000}[rng.IntN(3)]))
			}
			topic = strings.Join(levels, "/")
		}
		body := append(binary.BigEndian.AppendUint16(nil, uint16(len(topic))), topic...)
		body = append(body, strings.Repeat("x", 128)...)
		n := len(body)
		all[i] = append([]byte{0x30, byte(n&0x7F | 0x80), byte(n >> 7)}, body...)
	}
	return all
}

// No packet has the topic of the one before, so each topic is checked.
func BenchmarkDecodeVaried(b *testing.B) {
	for _, high := range []bool{false, true} {
		packets := variedPublishes(high)
		b.Run(fmt.Sprintf("high=%v", high), func(b *testing.B) {
			var p Publish
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				packet := packets[i&1023]
				h, n, err := DecodeHeader(packet)
				if err == nil {
					err = p.Decode(h, packet[n:], V311)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendPublish(b *testing.B) {
	for _, row := range benchPublishes {
		b.Run(row.name, func(b *testing.B) {
			var p anyPublish
			h, n, _ := DecodeHeader(row.wire)
			if err := p.Publish.Decode(h, row.wire[n:], row.v); err != nil {
				b.Fatal(err)
			}
			out, buf := p.out(row.v), make([]byte, 0, 512)
			b.ReportAllocs()
			b.SetBytes(int64(len(row.wire)))
			for b.Loop() {
				buf = out.Append(buf[:0])
			}
		})
	}
}

func BenchmarkForwardProps(b *testing.B) {
	var p Publish
	row := benchPublishes[2]
	h, n, _ := DecodeHeader(row.wire)
	if err := p.Decode(h, row.wire[n:], row.v); err != nil {
		b.Fatal(err)
	}
	scratch := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		scratch = p.ForwardProps(scratch)
	}
}

func BenchmarkAppendAck(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendAck(buf[:0], TypePuback, V5, 7, NoMatchingSubscribers)
	}
}

func BenchmarkDecodeConnect(b *testing.B) {
	for _, row := range connectPackets() {
		if row.name != "connect v311 full" && row.name != "connect v5 full" {
			continue
		}
		b.Run(strings.ReplaceAll(row.name, " ", "-"), func(b *testing.B) {
			var c Connect
			b.ReportAllocs()
			for b.Loop() {
				h, n, err := DecodeHeader(row.wire)
				if err == nil {
					err = c.Decode(h, row.wire[n:])
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValidString(b *testing.B) {
	for _, n := range []int{3, 7, 24, 128, 4096} {
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			s := []byte(strings.Repeat("a", n))
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				if !ValidString(s) {
					b.Fatal("refused")
				}
			}
		})
	}
}
