package codec

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// record rewrites the seed corpora in testdata/fuzz from the table of packets: go test ./codec -run SeedCorpora -record
var record = flag.Bool("record", false, "rewrite testdata/fuzz from the table of packets")

// seeds are the corpora of the fuzz targets below, by target and name: one value for each argument.
func seeds() map[string]map[string][]any {
	all := map[string]map[string][]any{"FuzzDecode": {}, "FuzzRoundTrip": {}, "FuzzConnect": {}, "FuzzPublish": {},
		"FuzzProperties": {}, "FuzzValidString": {}, "FuzzMask": {}}
	for _, row := range namedPackets() {
		name := strings.ReplaceAll(row.name, " ", "-")
		h, n, _ := DecodeHeader(row.wire)
		body := row.wire[n:]
		all["FuzzDecode"][name] = []any{row.wire, byte(row.v), byte(len(row.wire) / 2)}
		all["FuzzRoundTrip"][name] = []any{row.wire[0], body, byte(row.v)}
		switch h.Type {
		case TypeConnect:
			all["FuzzConnect"][name] = []any{body}
		case TypePublish:
			all["FuzzPublish"][name] = []any{row.wire[0], body, byte(row.v)}
		}
	}
	for id, row := range propertyPlaces {
		name := strings.ReplaceAll(propertyRules[id].name, " ", "-")
		all["FuzzProperties"][name] = []any{block(needed(id) + row[0] + users), byte(propertyHome(id))}
	}
	for name, s := range map[string]string{"ascii": "sensors/kitchen/temperature", "short": "abc", "wildcard": "a/+/b/c/d/e/#",
		"nul":       "a\x00b",
		"two-bytes": "grün/zimmer", "surrogate": "\xED\xA0\x80", "overlong": "01234567\xC0\x80", "mark": "\uFEFFa"} {
		all["FuzzValidString"][name] = []any{[]byte(s)}
	}
	for name, n := range map[string]int{"short": 5, "words": 100, "vectors": 300} {
		all["FuzzMask"][name] = []any{bytes.Repeat([]byte{0x5A}, n), []byte{0x37, 0xFA, 0x21, 0x3D}, byte(7 * n), byte(n % 3)}
	}
	return all
}

// propertyHome is a packet that has property id.
func propertyHome(id propertyID) (t Type) {
	for t = range TypeAuth + 1 {
		if propertyRules[id].in>>t&1 != 0 {
			return t
		}
	}
	panic("BUG: a property without a packet")
}

// corpusFile is one seed in the form that the go command reads.
func corpusFile(values []any) []byte {
	var b bytes.Buffer
	b.WriteString("go test fuzz v1\n")
	for _, v := range values {
		switch v := v.(type) {
		case byte:
			fmt.Fprintf(&b, "byte(%q)\n", v)
		case []byte:
			fmt.Fprintf(&b, "[]byte(%q)\n", v)
		}
	}
	return b.Bytes()
}

func TestSeedCorporaFollowTheTableOfPackets(t *testing.T) {
	for target, corpus := range seeds() {
		dir := filepath.Join("testdata", "fuzz", target)
		for name, values := range corpus {
			file, want := filepath.Join(dir, "table-"+name), corpusFile(values)
			if *record {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what the table says (%v); run this test with -record", file, err)
			}
		}
	}
}

// versionOf makes a version of any byte.
func versionOf(b byte) Version { return V31 + Version(b)%3 }

// FuzzDecode reads a stream of packets, cut in two at any place: the first part alone never yields a packet that the
// whole does not yield, and nothing panics.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, stream []byte, version, cut byte) {
		v := versionOf(version)
		for len(stream) > 0 {
			part := stream[:min(int(cut), len(stream))]
			h, n, err := DecodeHeader(stream)
			if h1, n1, err1 := DecodeHeader(part); err1 != nil && err1 != err || n1 > 0 && (n1 != n || h1 != h) {
				t.Fatalf("% X: header %+v %d %v, of its first %d bytes %+v %d %v", stream, h, n, err, len(part), h1, n1, err1)
			}
			exercise(t, stream, v)
			if err != nil || n == 0 || len(stream) < n+h.Remaining {
				return
			}
			stream = stream[n+h.Remaining:]
		}
	})
}

// FuzzRoundTrip gives any body to the decoder of any packet; what is accepted survives being written and read again.
func FuzzRoundTrip(f *testing.F) {
	f.Fuzz(func(t *testing.T, first byte, body []byte, version byte) {
		exercise(t, append(append([]byte{first}, naiveVarint(len(body))...), body...), versionOf(version))
	})
}

// FuzzConnect is FuzzRoundTrip for the one packet that anybody may send, and holds what the broker relies on.
func FuzzConnect(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		var c Connect
		h := Header{Type: TypeConnect, Remaining: len(body)}
		if err := c.Decode(h, body); err != nil {
			checkError(t, err)
			return
		}
		for _, s := range []string{c.ClientID, c.UserName, c.Will.Topic, c.AuthMethod} {
			if !naiveValid([]byte(s)) {
				t.Fatalf("%q was accepted", s)
			}
		}
		if c.Version < V31 || c.Version > V5 || c.ReceiveMaximum == 0 || c.Will.QoS > 2 || c.HasWill != (c.Will.Payload != nil) {
			t.Fatalf("%+v", c)
		}
		exercise(t, append(append([]byte{0x10}, naiveVarint(len(body))...), body...), c.Version)
	})
}

// FuzzPublish decodes as a server does, and holds what the broker relies on.
func FuzzPublish(f *testing.F) {
	f.Fuzz(func(t *testing.T, first byte, body []byte, version byte) {
		v := versionOf(version)
		h := Header{Type: TypePublish, Flags: first & 0x0F, Remaining: len(body)}
		if checkFlags(h.Type, h.Flags) != nil {
			return
		}
		var p Publish
		if err := p.Decode(h, body, v); err != nil {
			checkError(t, err)
			return
		}
		if _, _, wildcard := naiveScan([]byte(p.Topic)); wildcard || !naiveValid([]byte(p.Topic)) || p.Topic == "" && p.TopicAlias == 0 {
			t.Fatalf("topic %q was accepted", p.Topic)
		}
		if p.HasSubIDs || (p.QoS > 0) != (p.PacketID > 0) {
			t.Fatalf("%+v", p)
		}
		out := PublishOut{Version: v, QoS: p.QoS, Topic: p.Topic, PacketID: p.PacketID, Props: p.ForwardProps(nil), Payload: p.Payload}
		if out.Topic == "" {
			out.Topic = "resolved"
		}
		b := out.Append(nil)
		var q Publish
		h, n, err := DecodeHeader(b)
		if err == nil {
			err = q.Decode(h, b[n:], v)
		}
		if err != nil || q.HasExpiry || q.TopicAlias != 0 || !bytes.Equal(q.Props, out.Props) || !bytes.Equal(q.Payload, p.Payload) {
			t.Fatalf("%+v sent on as %+v: %v", p, q, err)
		}
	})
}

// FuzzProperties reads any property block in any packet. A sound block falls apart into its properties and is put
// together again; an unsound one never leads outside.
func FuzzProperties(f *testing.F) {
	f.Fuzz(func(t *testing.T, block []byte, where byte) {
		p := properties{block: block, where: Type(where) % (TypeAuth + 1)}
		sizes := 0
		for at := 0; p.next(); at = p.at {
			if n := propertySize(block[at:]); n != p.at-at {
				t.Fatalf("% X: property of %d bytes is copied as %d", block[at:], p.at-at, n)
			}
			sizes = p.at
		}
		if p.err == nil && sizes != len(block) {
			t.Fatalf("% X: %d bytes read", block, sizes)
		}
		for _, left := range []propertySet{0, publishRewritten, willRewritten, onlyUserProperties, allProperties &^ onlyUserProperties} {
			kept := appendKept(nil, block, left)
			if len(kept) != keptSize(block, left) || len(kept) > len(block) {
				t.Fatalf("% X: %d bytes kept, keptSize is %d", block, len(kept), keptSize(block, left))
			}
		}
		for rest, ok := block, true; ok; {
			_, _, rest, ok = NextUserProperty(rest)
		}
	})
}

// FuzzValidString holds vector code and words against one byte at a time.
func FuzzValidString(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := ValidString(b), naiveValid(b); got != want {
			t.Fatalf("% X: valid is %v, want %v", b, got, want)
		}
		high, nul, wildcard := scan(b)
		if h, z, w := naiveScan(b); h != high || z != nul || w != wildcard {
			t.Fatalf("% X: high %v, NUL %v, wildcard %v", b, high, nul, wildcard)
		}
		if got, words := plain(b), plainWords(b); got != words || got != !(high || nul || wildcard) {
			t.Fatalf("% X: plain %v, by words %v", b, got, words)
		}
	})
}
