package mosquittodb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"github.com/noctulemq/noctule/codec"
)

// handmade is a database of an old version, made by the description in format.go.
func handmade(version uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte(magic+"\x00\x00\x00\x00"), version)
	chunk := func(kind int, parts ...any) {
		var c []byte
		for _, p := range parts {
			switch p := p.(type) {
			case byte:
				c = append(c, p)
			case uint16:
				c = binary.BigEndian.AppendUint16(c, p)
			case uint32:
				c = binary.BigEndian.AppendUint32(c, p)
			case int64: // native
				c = binary.LittleEndian.AppendUint64(c, uint64(p))
			case string:
				c = append(c, p...)
			case []string: // behind their length
				for _, s := range p {
					c = append(binary.BigEndian.AppendUint16(c, uint16(len(s))), s...)
				}
			}
		}
		if version < 5 {
			b = binary.BigEndian.AppendUint16(b, uint16(kind))
		} else {
			b = binary.BigEndian.AppendUint32(b, uint32(kind))
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(c))), c...)
	}
	if version == 5 {
		chunk(chunkConfig, int64(90), byte(1), byte(8), "\x00\x00\x00\x00\x00\x00")
		chunk(chunkMessage, int64(8), int64(0), uint32(6), uint16(7), uint16(3), uint16(0), uint16(3), uint16(0), byte(1), byte(0), "src", "t/2",
			"queued")
		chunk(chunkMessage, int64(7), int64(4102444800), uint32(4), uint16(9), uint16(3), uint16(4), uint16(3), uint16(0), byte(2), byte(1), "src",
			"pete", "r/1", "kept", "\x03\x03\x00\x00")
		chunk(chunkClient, int64(4102444800), uint32(5000), uint16(50), uint16(2), "st")
		chunk(chunkDelivery, int64(7), uint16(5), uint16(2), byte(2), byte(AwaitPubrel), byte(0x10), byte(0), "st")
		chunk(chunkDelivery, int64(7), uint16(4), uint16(2), byte(2), byte(AwaitPubrec), byte(0x11), byte(1), "st")
		chunk(chunkDelivery, int64(8), uint16(50), uint16(2), byte(1), byte(Queued), byte(0), byte(1), "st", "\x02\x0b\x05")
		chunk(chunkSubscription, uint32(5), uint16(2), uint16(3), byte(1), byte(0x0C), "\x00\x00", "st", "x/#")
		chunk(chunkRetained, int64(7))
		return b
	}
	source := []any{[]string{"src"}}
	if version == 4 {
		source = append(source, []string{"pete"}, uint16(0))
	}
	chunk(chunkConfig, byte(1), byte(8), int64(90))
	message := func(id int64, rest ...any) {
		chunk(chunkMessage, append(append([]any{id}, source...), rest...)...)
	}
	message(8, uint16(7), uint16(0), []string{"t/2"}, byte(1), byte(0), uint32(6), "queued")
	message(7, uint16(9), uint16(0), []string{"r/1"}, byte(2), byte(1), uint32(4), "kept")
	client := []any{[]string{"st"}, uint16(50)}
	if version > 2 {
		client = append(client, int64(1))
	}
	chunk(chunkClient, client...)
	chunk(chunkDelivery, []string{"st"}, int64(7), uint16(5), byte(2), byte(1), byte(0), byte(AwaitPubrel), byte(0))
	chunk(chunkDelivery, []string{"st"}, int64(7), uint16(4), byte(2), byte(1), byte(1), byte(AwaitPubrec), byte(1))
	chunk(chunkDelivery, []string{"st"}, int64(8), uint16(50), byte(1), byte(0), byte(1), byte(Queued), byte(0))
	chunk(chunkSubscription, []string{"st", "x/#"}, byte(1))
	chunk(chunkRetained, int64(7))
	return b
}

func TestReadsOldVersions(t *testing.T) {
	for version := uint32(versionOldest); version <= 5; version++ {
		name := fmt.Sprintf("v%d", version)
		if *record {
			if err := os.WriteFile("testdata/"+name+".db", handmade(version), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		file, err := os.ReadFile("testdata/" + name + ".db")
		if err != nil {
			t.Fatal(err)
		}
		db := read(t, file)
		if db.Version != version || db.LastID != 90 || !db.Clean {
			t.Errorf("%s: version %d, last identifier %d, clean %t", name, db.Version, db.LastID, db.Clean)
		}
		golden(t, name+".txt", text(db))
	}
}

// Mosquitto reads old files too: what it then writes says whether ours are what they should be.
func TestMosquittoReadsTheOldVersionsAlike(t *testing.T) {
	for version := uint32(versionOldest); version <= 5; version++ {
		b := startMosquitto(t, windowDefault, handmade(version))
		visitor, _ := b.connect(4, codec.Connect{ClientID: "visitor", CleanStart: true}) // it does not end before it serves
		visitor.leave()
		theirs := read(t, b.stop())
		for i := range theirs.Clients {
			if version < 5 {
				theirs.Clients[i].Expiry = never // 2.0.11 takes 0, for a session that its client wanted kept
			}
		}
		if ours, theirs := text(read(t, handmade(version))), text(theirs); ours != theirs {
			t.Errorf("version %d is read as\n%s\nand by Mosquitto as\n%s", version, ours, theirs)
		}
	}
}

func TestReadsFilesOfBigEndianAnd32BitMachines(t *testing.T) {
	sample, err := os.ReadFile("testdata/v6.db")
	if err != nil {
		t.Fatal(err)
	}
	want := text(read(t, sample))
	for _, rewrite := range []func(kind uint32, body []byte) []byte{bigEndian, i386} {
		file := bytes.Clone(sample[:headerBytes])
		for rest := sample[headerBytes:]; len(rest) > 0; {
			kind, size := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:])
			body := rewrite(kind, bytes.Clone(rest[8:8+size]))
			file = append(appendChunk(file, kind, len(body)), body...)
			rest = rest[8+size:]
		}
		if got := text(read(t, file)); got != want {
			t.Errorf("read as\n%s", got)
		}
	}
}

func bigEndian(kind uint32, body []byte) []byte {
	if kind != chunkSubscription {
		reverse(body[:8])
	}
	if kind == chunkMessage {
		reverse(body[8:16])
	}
	return body
}

func reverse(b []byte) { binary.BigEndian.PutUint64(b, binary.LittleEndian.Uint64(b)) }

func i386(kind uint32, body []byte) []byte {
	switch kind {
	case chunkConfig:
		return body[:12]
	case chunkClient:
		return append(body[:clientFixedI386], body[clientFixed:]...)
	}
	return body
}
