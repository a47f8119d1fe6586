package bench

import (
	"bytes"
	"errors"
	"testing"
)

func TestConnectIsTheBytesOfTheSpecification(t *testing.T) {
	want := append([]byte{0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 2}, "ab"...)
	if got := appendConnect(nil, "ab"); !bytes.Equal(got, want) {
		t.Fatalf("CONNECT\n got % x\nwant % x", got, want)
	}
}

func TestSubscribeIsTheBytesOfTheSpecification(t *testing.T) {
	want := []byte{0x82, 8, 0, 1, 0, 3, 'a', '/', 'b', 2}
	if got := appendSubscribe(nil, "a/b", 2); !bytes.Equal(got, want) {
		t.Fatalf("SUBSCRIBE\n got % x\nwant % x", got, want)
	}
}

func TestPublishComesBackAsItWasBuilt(t *testing.T) {
	f := func(qos byte, payloadBytes int, seq uint64) {
		t.Helper()
		template := newPublishTemplate("bench/x", qos, payloadBytes)
		raw := template.append([]byte("before"), stamp{seq: seq, sentNs: 77, pub: 9})[len("before"):]
		p, size, err := splitPacket(raw)
		if err != nil || size != len(raw) {
			t.Fatalf("split %d of %d bytes: %v", size, len(raw), err)
		}
		m, err := p.publish()
		if err != nil || string(m.topic) != "bench/x" || m.qos != qos {
			t.Fatalf("got %q at QoS %d: %v", m.topic, m.qos, err)
		}
		if qos > 0 && m.id != packetID(seq) {
			t.Fatalf("packet identifier %d, want %d", m.id, packetID(seq))
		}
		s, ok := readStamp(m.payload, payloadBytes)
		if !ok || s != (stamp{seq: seq, sentNs: 77, pub: 9}) {
			t.Fatalf("stamp %+v, ok %v", s, ok)
		}
	}
	f(0, payloadBytesMin, 0)
	f(0, 128, 5)
	f(1, 128, 65535)
	f(2, 4096, 1<<40)
}

func TestPacketIDIsNeverZero(t *testing.T) {
	for _, seq := range []uint64{0, 65534, 65535, 65536, 131070} {
		if packetID(seq) == 0 {
			t.Fatalf("message %d has packet identifier 0", seq)
		}
	}
}

func TestStampRefusesDamagedPayload(t *testing.T) {
	payload := make([]byte, 128)
	stamp{seq: 3}.put(payload)
	if _, ok := readStamp(payload[:127], 128); ok {
		t.Error("a shortened payload passed")
	}
	payload[0]++
	if _, ok := readStamp(payload, 128); ok {
		t.Error("a changed sequence number passed")
	}
}

func TestEveryProperPrefixAsksForMore(t *testing.T) {
	template := newPublishTemplate("a", 1, 200)
	raw := template.append(nil, stamp{})
	for n := range raw {
		if _, size, err := splitPacket(raw[:n]); size != 0 || err != nil {
			t.Fatalf("prefix of %d bytes: size %d, %v", n, size, err)
		}
	}
}

func TestRemainingLengthOfFiveBytesIsMalformed(t *testing.T) {
	if _, _, err := splitPacket([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 1}); !errors.Is(err, errMalformed) {
		t.Fatalf("got %v", err)
	}
	if _, _, err := splitPacket([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}); err != nil {
		t.Fatalf("four bytes are allowed, got %v", err)
	}
}

func TestPublishShorterThanItsTopicIsMalformed(t *testing.T) {
	for _, body := range [][]byte{{}, {0}, {0, 5, 'a'}} {
		if _, err := (packet{first: packetPublish, body: body}).publish(); !errors.Is(err, errMalformed) {
			t.Errorf("body % x: got %v", body, err)
		}
	}
	if _, err := (packet{first: packetPublish | 2, body: []byte{0, 1, 'a', 0}}).publish(); !errors.Is(err, errMalformed) {
		t.Errorf("half a packet identifier: got %v", err)
	}
}
