package codec

import (
	"bytes"
	"testing"
)

// each runs f for every row of the table.
func each(t *testing.T, f func(t *testing.T, row namedPacket)) {
	for _, row := range namedPackets() {
		t.Run(row.name, func(t *testing.T) { f(t, row) })
	}
}

func TestDecodeReadsEveryField(t *testing.T) {
	each(t, func(t *testing.T, row namedPacket) {
		if got, want := text(accepts(t, row.v, row.wire)), text(row.want); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestAppendWritesWhatDecodeReads(t *testing.T) {
	each(t, func(t *testing.T, row namedPacket) {
		prefix := []byte("before")
		got := row.want.Append(bytes.Clone(prefix), row.v)
		if !bytes.Equal(got, append(prefix, row.wire...)) {
			t.Errorf("got  % X\nwant % X", got[len(prefix):], row.wire)
		}
	})
}

func TestSizeIsWhatAppendWrites(t *testing.T) {
	each(t, func(t *testing.T, row namedPacket) {
		for _, v := range []Version{V31, V311, V5} {
			if got, want := row.want.Size(v), len(row.want.Append(nil, v)); got != want {
				t.Errorf("version %v: Size is %d, Append writes %d", v, got, want)
			}
		}
	})
}

func TestEveryProperPrefixAsksForMore(t *testing.T) {
	each(t, func(t *testing.T, row namedPacket) {
		for n := range row.wire {
			h, size, err := DecodeHeader(row.wire[:n])
			if err != nil {
				t.Fatalf("prefix of %d bytes: %v", n, err)
			}
			if size > 0 && size+h.Remaining <= n {
				t.Errorf("prefix of %d bytes is taken for a packet of %d+%d", n, size, h.Remaining)
			}
		}
	})
}

// A body cut short is refused, unless what is left is a whole packet by itself: then it means what it says.
func TestTruncatedBodyIsRefused(t *testing.T) {
	each(t, func(t *testing.T, row namedPacket) {
		h, size, _ := DecodeHeader(row.wire)
		body := row.wire[size:]
		for n := range body {
			h.Remaining = n
			p := newPacket(h.Type)
			if p.Decode(h, body[:n:n], row.v) != nil {
				continue
			}
			again := p.Append(nil, row.v)
			if !bytes.Equal(again[headerSize(n):], body[:n]) {
				t.Errorf("body of %d bytes % X is taken for % X", n, body[:n], again)
			}
		}
	})
}

func TestBytesBehindTheLastFieldAreRefused(t *testing.T) {
	each(t, func(t *testing.T, row namedPacket) {
		h, size, _ := DecodeHeader(row.wire)
		switch h.Type {
		case TypePublish, TypeSuback, TypeUnsuback, TypePingreq, TypePingresp:
			if row.v == V5 || h.Type != TypeUnsuback {
				t.Skip("the last field takes all that is left, or is none")
			}
		}
		body := append(bytes.Clone(row.wire[size:]), 0xFF)
		h.Remaining = len(body)
		if err := newPacket(h.Type).Decode(h, body, row.v); err == nil {
			t.Errorf("accepted % X", body)
		}
	})
}

func TestFlippedBytesNeverPanic(t *testing.T) {
	each(t, func(t *testing.T, row namedPacket) {
		for i := range row.wire {
			for _, flip := range []byte{0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF} {
				b := bytes.Clone(row.wire)
				b[i] ^= flip
				for _, v := range []Version{V31, V311, V5} {
					exercise(t, b, v)
				}
			}
		}
	})
}

// exercise decodes b if it is a packet, and holds what an accepted packet promises: it can be written, Size is right,
// and what was written means the same.
func exercise(t *testing.T, b []byte, v Version) {
	t.Helper()
	h, n, err := DecodeHeader(b)
	if err != nil {
		checkError(t, err)
		return
	}
	if n == 0 || len(b) < n+h.Remaining {
		return
	}
	p := newPacket(h.Type)
	if err := p.Decode(h, b[n:n+h.Remaining], v); err != nil {
		checkError(t, err)
		return
	}
	if c, ok := p.(*anyConnect); ok {
		v = c.Version
	}
	once := p.Append(nil, v)
	if len(once) != p.Size(v) {
		t.Fatalf("% X: Size is %d, Append writes %d", b, p.Size(v), len(once))
	}
	q, err := decode(once, v)
	if err != nil {
		t.Fatalf("% X was accepted, but not what it was written as, % X: %v", b, once, err)
	}
	if got, want := text(q), text(p); got != want {
		t.Fatalf("% X, written as % X:\ngot  %s\nwant %s", b, once, got, want)
	}
	if twice := q.Append(nil, v); !bytes.Equal(once, twice) {
		t.Fatalf("written as % X, then as % X", once, twice)
	}
}

// checkError fails unless err is an Error that a connection can be ended with.
func checkError(t *testing.T, err error) {
	t.Helper()
	e, ok := err.(*Error)
	if !ok || e.Code < UnspecifiedError || e.Req == "" || e.Detail == "" {
		t.Fatalf("refused with %T %v", err, err)
	}
}

func TestDecodeAndAppendAllocateNothing(t *testing.T) {
	each(t, func(t *testing.T, row namedPacket) {
		h, size, _ := DecodeHeader(row.wire)
		p, out := newPacket(h.Type), make([]byte, 0, 1024)
		allocs := testing.AllocsPerRun(100, func() {
			h, size, _ = DecodeHeader(row.wire)
			if p.Decode(h, row.wire[size:], row.v) != nil {
				panic("refused")
			}
			out = p.Append(out[:0], row.v)
		})
		if allocs != 0 {
			t.Errorf("%v allocations for each packet", allocs)
		}
	})
}

func TestRefusingAllocatesNothing(t *testing.T) {
	f := func(v Version, b []byte) {
		t.Helper()
		h, size, _ := DecodeHeader(b)
		p := newPacket(h.Type)
		if allocs := testing.AllocsPerRun(100, func() {
			if p.Decode(h, b[size:], v) == nil {
				panic("accepted")
			}
		}); allocs != 0 {
			t.Errorf("%v allocations to refuse % X", allocs, b)
		}
	}
	f(V5, wire(0x30, `"a/#" {}`))
	f(V5, wire(0x30, `"a" {23 0000}`))
	f(V5, wire(0x30, `"a" {11 00000000}`))
	f(V5, wire(0x82, `0001 {}`))
	f(V5, wire(0x10, `"MQTT" 05 02 0000 {21 0001 21 0001} ""`))
}

// A struct that decoded a packet with very many entries does not keep room for them for ever.
func TestRoomOfAHostilePacketIsLetGo(t *testing.T) {
	many := wire(0x82, `0001`)
	body := many[2:]
	for range 10 * entriesKept {
		body = append(body, 0, 1, 'a', 0)
	}
	var s Subscribe
	if err := s.Decode(Header{Type: TypeSubscribe, Flags: 2, Remaining: len(body)}, body, V311); err != nil {
		t.Fatal(err)
	}
	if len(s.Filters) != 10*entriesKept {
		t.Fatalf("%d filters", len(s.Filters))
	}
	few := wire(0x82, `0001 "a" 00`)
	if err := s.Decode(Header{Type: TypeSubscribe, Flags: 2, Remaining: len(few) - 2}, few[2:], V311); err != nil {
		t.Fatal(err)
	}
	if cap(s.Filters) > entriesKept {
		t.Errorf("room for %d filters is kept", cap(s.Filters))
	}
}

func TestDecodeForgetsThePacketBefore(t *testing.T) {
	rows := namedPackets()
	used := map[Type]packet{}
	for _, first := range rows {
		for _, second := range rows {
			h, size, _ := DecodeHeader(second.wire)
			if Type(first.wire[0]>>4) != h.Type {
				continue
			}
			p := used[h.Type]
			if p == nil {
				p = newPacket(h.Type)
				used[h.Type] = p
			}
			h1, size1, _ := DecodeHeader(first.wire)
			if err := p.Decode(h1, first.wire[size1:], first.v); err != nil {
				t.Fatal(err)
			}
			if err := p.Decode(h, second.wire[size:], second.v); err != nil {
				t.Fatal(err)
			}
			if got, want := text(p), text(second.want); got != want {
				t.Errorf("%s after %s:\ngot  %s\nwant %s", second.name, first.name, got, want)
			}
		}
	}
}
