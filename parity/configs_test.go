package parity

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// wild is a configuration as people have it: a directory of testdata/configs with a mosquitto.conf in it. @DIR@ stands for
// the directory that it is copied to, @PORT1@ to @PORT4@ for free ports.
type wild struct {
	name   string
	setUp  func(t *testing.T, p *place)
	only21 []string // has keys that Mosquitto 2.0 does not know: what Noctule's notes have instead of a comparison
	dial   func(p *place) func(port int) (net.Conn, error)
	visits []visit
}

// visit is what one client does there: it publishes and subscribes with some topics.
type visit struct {
	port   int // 0 means 1
	h      hello
	topics []string
}

var (
	nobody = hello{}
	ann    = hello{user: "ann", pass: "secret"}
	bob    = hello{user: "bob", pass: "word with blanks"}
	wrong  = hello{user: "ann", pass: "wrong"}
)

var wilds = []wild{
	{name: "debian-default", visits: []visit{{h: nobody}, {h: ann}}},
	{name: "docker-default", visits: []visit{{h: nobody}}},
	{name: "home-assistant", setUp: passwords, visits: []visit{
		{h: nobody},
		{h: ann, topics: []string{"zigbee2mqtt/lamp/set", "homeassistant/status"}},
		{h: bob},
		{h: wrong},
	}},
	{name: "zigbee2mqtt", setUp: passwords, visits: []visit{{h: nobody}, {h: ann}, {port: 2, h: ann}, {port: 2, h: wrong}}},
	{name: "frigate", visits: []visit{{h: nobody}}},
	{name: "esphome", visits: []visit{{h: nobody}, {h: ann}}},
	{name: "bridge-to-a-cloud", visits: []visit{{h: nobody, topics: []string{"sensors/1", "commands/1"}}}},
	{name: "tls-client-certificates", setUp: certificates, dial: tlsDial, visits: []visit{
		{h: nobody, topics: []string{"devices/client-1/x", "devices/other/x", "news/x"}},
	}},
	{name: "tls-beside-plain", setUp: certificates, visits: []visit{{h: nobody}}},
	{name: "dynsec", setUp: dynamicSecurity, visits: []visit{
		{h: nobody},
		{h: ann},
		{h: hello{user: "admin", pass: "admin"}, topics: []string{"$CONTROL/dynamic-security/v1/response", "x"}},
	}},
	{name: "include-dirs", setUp: passwords, visits: []visit{{h: nobody}, {h: ann}}},
	{name: "listeners-of-their-own", setUp: passwords, visits: []visit{
		{h: nobody, topics: []string{"house/1", "outside/1", "house/1/public"}},
		{h: wrong, topics: []string{"house/1"}},
		{port: 2, h: nobody},
		{port: 2, h: ann, topics: []string{"house/1", "outside/1", "house/1/public"}},
	}},
	{name: "windows", setUp: passwords, visits: []visit{
		{h: nobody},
		{h: ann, topics: []string{"a/b", "ann/x", "c"}},
		{h: bob, topics: []string{"a/b", "bob/x"}},
	}},
	{name: "websockets", visits: []visit{{h: nobody}}},
	{name: "unix-socket", dial: unixDial, visits: []visit{{h: nobody}, {port: 2, h: nobody}}},
	{name: "passwords-and-acl", setUp: passwords, visits: []visit{
		{h: nobody, topics: []string{"weather/today", "private/bob/x"}},
		{h: ann, topics: []string{"private/x"}},
		{h: bob, topics: []string{"private/bob/x", "house/bob/x", "house/x"}},
		{h: wrong},
	}},
	{name: "big-limits", visits: []visit{{h: nobody}}},
	{name: "owntracks", setUp: passwords, visits: []visit{
		{h: nobody},
		{h: ann, topics: []string{"owntracks/ann/phone", "owntracks/bob/phone", "owntracks/bob/phone/event"}},
		{h: bob, topics: []string{"owntracks/ann/phone"}},
	}},
	{name: "mosquitto-2.1", only21: []string{"  a < 20 02 00 00", "  a < 20 02 00 01"}, visits: []visit{
		{h: nobody},
		{port: 2, h: nobody},
	}},
}

// TestConfigurations holds that configurations from the wild have no mistake for either broker, and that both then treat
// the same visitors alike.
func TestConfigurations(t *testing.T) {
	for _, w := range wilds {
		t.Run(w.name, func(t *testing.T) {
			needMosquitto(t)
			t.Parallel()
			ours := w.copied(t)
			if ok, why := accepts(filepath.Join(ours.dir, "mosquitto.conf")); !ok {
				t.Fatalf("noctule --test-config: %s", why)
			}
			var theirNotes, ourNotes []string
			if w.only21 == nil {
				theirNotes = w.visit(t, w.copied(t), mosquitto)
			}
			ourNotes = w.visit(t, ours, noctule)
			for _, line := range w.only21 {
				if !slices.Contains(ourNotes, line) {
					t.Errorf("no %q in\n%s", line, strings.Join(ourNotes, "\n"))
				}
			}
			if w.only21 == nil && !slices.Equal(theirNotes, ourNotes) {
				t.Errorf("the brokers differ (- Mosquitto, + Noctule):\n%s", strings.Join(diff(theirNotes, ourNotes), "\n"))
			}
		})
	}
}

// TestEveryConfigurationIsUsed holds that no directory is forgotten, and that the file with Windows line ends has kept them.
func TestEveryConfigurationIsUsed(t *testing.T) {
	dirs, err := os.ReadDir("testdata/configs")
	if err != nil || len(dirs) != len(wilds) {
		t.Errorf("%d directories for %d configurations: %v", len(dirs), len(wilds), err)
	}
	text, err := os.ReadFile("testdata/configs/windows/mosquitto.conf")
	if err != nil || bytes.Count(text, []byte("\r\n")) != bytes.Count(text, []byte("\n")) || bytes.HasSuffix(text,
		[]byte("\n")) {
		t.Errorf("windows/mosquitto.conf must have CRLF line ends, and none after its last line (%v)", err)
	}
}

// copied copies the configuration to a place of its own.
func (w *wild) copied(t *testing.T) *place {
	t.Helper()
	p := newPlace(t)
	root := filepath.Join("testdata/configs", w.name)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		p.write(t, name, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"data", "log"} {
		p.write(t, dir+"/.here", "")
	}
	if w.setUp != nil {
		w.setUp(t, p)
	}
	return p
}

// visit runs a broker in a place and has the visitors come, with each 3.x version.
func (w *wild) visit(t *testing.T, p *place, program string) []string {
	t.Helper()
	b, err := p.launch(program, "mosquitto.conf")
	if err != nil {
		t.Fatal(err)
	}
	if w.dial != nil {
		b.dial = w.dial(p)
	}
	for until := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) { // its log may be in a file
		conn, err := net.Dial("tcp", p.addr(1))
		if err == nil {
			conn.Close()
			break
		}
		select {
		case <-b.exited:
			t.Fatalf("%s ended: %v\n%s", program, b.cmd.ProcessState, b.log)
		default:
		}
		if time.Now().After(until) {
			_ = b.stop()
			t.Fatalf("%s does not listen: %v\n%s", program, err, b.log)
		}
	}
	s := &script{tag: "visitor", broker: b}
	for _, s.level = range []int{v31, v4} {
		for _, v := range w.visits {
			v.run(s)
		}
	}
	if err := b.stop(); err != nil {
		t.Errorf("%s: %v", program, err)
	}
	return s.notes
}

func (v *visit) run(s *script) {
	s.joinAt("a", max(v.port, 1), v.h)
	topics := v.topics
	if topics == nil {
		topics = []string{"any/topic"}
	}
	for i, topic := range topics {
		s.send("a", subscribe(s.level, 1, topic, 2))
		s.send("a", message{topic: topic, payload: "QoS 0", retain: true}.bytes(s.level))
		s.send("a", message{topic: topic, payload: "QoS 1", qos: 1, id: 10 + i}.bytes(s.level))
		s.send("a", message{topic: topic, payload: "QoS 2", qos: 2, id: 20 + i}.bytes(s.level), ack(pubrelByte, 20+i))
		s.send("a", message{topic: topic, retain: true}.bytes(s.level))
	}
	s.finish()
}

// certificates makes a CA and certificates for the server and a client, who is called client-1.
func certificates(t *testing.T, p *place) {
	t.Helper()
	serial := int64(0)
	make := func(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		serial++
		c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			DNSNames: []string{"localhost"}, IsCA: parent == nil, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
		if parent == nil {
			parent, signer = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		p.write(t, "certs/"+name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		der, err = x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		p.write(t, "certs/"+name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
		return c, key
	}
	ca, key := make("ca", nil, nil)
	make("server", ca, key)
	make("client-1", ca, key)
}

// tlsDial connects as client-1.
func tlsDial(p *place) func(port int) (net.Conn, error) {
	return func(port int) (net.Conn, error) {
		cert, err := tls.LoadX509KeyPair(filepath.Join(p.dir, "certs/client-1.crt"), filepath.Join(p.dir, "certs/client-1.key"))
		if err != nil {
			return nil, err
		}
		ca, err := os.ReadFile(filepath.Join(p.dir, "certs/ca.crt"))
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		d := tls.Dialer{Config: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, ServerName: "localhost"}}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return d.DialContext(ctx, "tcp", p.addr(port))
	}
}

// unixDial takes port 2 for the socket.
func unixDial(p *place) func(port int) (net.Conn, error) {
	return func(port int) (net.Conn, error) {
		if port == 2 {
			return net.Dial("unix", filepath.Join(p.dir, "mqtt.sock"))
		}
		return net.Dial("tcp", p.addr(port))
	}
}
