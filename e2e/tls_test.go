package e2e

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// authority issues the certificates of one test, as files.
type authority struct {
	t      *testing.T
	dir    string
	cert   *x509.Certificate
	key    crypto.Signer
	file   string
	serial int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), serial: 1, key: ecKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotBefore: time.Now().Add(-24 * time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	a.file = a.write("ca.crt", "CERTIFICATE", der)
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return key
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	file := filepath.Join(a.dir, name)
	must(a.t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}

// issue makes NAME.crt and NAME.key; change may be nil.
func (a *authority) issue(name string, key crypto.Signer, change func(*x509.Certificate)) (certFile, keyFile string, cert *x509.Certificate) {
	a.t.Helper()
	a.serial++
	template := &x509.Certificate{SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(a.t, err)
	cert, err = x509.ParseCertificate(der)
	must(a.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	return a.write(name+".crt", "CERTIFICATE", der), a.write(name+".key", "PRIVATE KEY", pkcs8), cert
}

// revoke writes a revocation list.
func (a *authority) revoke(name string, certs ...*x509.Certificate) string {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, c := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	must(a.t, err)
	return a.write(name, "X509 CRL", der)
}

func (a *authority) config() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// startTLS runs a broker whose listener has TLS.
func (a *authority) startTLS(key crypto.Signer, lines ...string) *broker {
	a.t.Helper()
	certFile, keyFile, _ := a.issue("localhost", key, nil)
	return start(a.t, append([]string{"certfile " + certFile, "keyfile " + keyFile}, lines...)...)
}

// awaitLine returns a channel that gets one log line with the text.
func awaitLine(t *testing.T, b *broker, text string) <-chan string {
	t.Helper()
	found := make(chan string, 1)
	b.wanted.Store(&wanted{text: text, found: found})
	return found
}

// atMost writes a configuration of OpenSSL with which programs speak no later version of TLS: their own options are a minimum.
func atMost(t *testing.T, version string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openssl.cnf")
	version = strings.Replace(version, "tlsv", "TLSv", 1)
	must(t, os.WriteFile(file, []byte("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = "+version+"\n"), 0o600))
	return file
}

func TestTLSMosquittoClients(t *testing.T) {
	a := newAuthority(t)
	b := a.startTLS(rsaKey(t))
	for _, version := range []string{"tlsv1.2", "tlsv1.3"} {
		line := awaitLine(t, b, " negotiated ")
		t.Setenv("OPENSSL_CONF", atMost(t, version))
		secure := []string{"--cafile", a.file, "-q", "2"}
		lines := listen(t, b, 1, append(secure, "-t", "a/#")...)
		if got := next(t, line); !strings.Contains(strings.ToLower(got), version+" cipher ") {
			t.Errorf("logged %q", got)
		}
		large := strings.Repeat("x", 40_000)
		if out, err := tool(t, b, "mosquitto_pub", append(secure, "-t", "a/b", "-m", large)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", version, err, out)
		}
		if got := next(t, lines); got != "a/b "+large+" 0" {
			t.Errorf("%s: got %d bytes", version, len(got))
		}
	}
}

// TestTLSUserNameOfACertificate compares the user names that Noctule and Debian's mosquitto take from a certificate.
func TestTLSUserNameOfACertificate(t *testing.T) {
	a := newAuthority(t)
	serverCert, serverKey, _ := a.issue("localhost", ecKey(t), nil)
	cert, key, _ := a.issue("meter", ecKey(t), func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: `mé, "7"`, Organization: []string{"Works+1"}, Country: []string{"GB"}, SerialNumber: "42"}
	})
	for _, option := range []string{"use_identity_as_username", "use_subject_as_username"} {
		lines := []string{"certfile " + serverCert, "keyfile " + serverKey, "cafile " + a.file, "require_certificate true", option + " true"}
		b := start(t, lines...)
		found := awaitLine(t, b, "New client connected")
		if out, err := tool(t, b, "mosquitto_pub", "--cafile", a.file, "--cert", cert, "--key", key, "-i", "id", "-t", "a", "-m", "x").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		ours := next(t, found)
		ours = ours[strings.Index(ours, "u'"):]
		if theirs := userNameAtMosquitto(t, a, lines, cert, key); ours != theirs {
			t.Errorf("%s: %s, with mosquitto %s", option, ours, theirs)
		}
	}
}

// userNameAtMosquitto connects to Debian's mosquitto and returns the end of its log line.
func userNameAtMosquitto(t *testing.T, a *authority, lines []string, cert, key string) string {
	t.Helper()
	path, err := exec.LookPath("/usr/sbin/mosquitto")
	if err != nil {
		t.Fatal("mosquitto is not installed: run make deps")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, "user root\nallow_anonymous true\nlistener %d 127.0.0.1\n%s\n", port, strings.Join(lines, "\n")), 0o600))
	cmd := exec.CommandContext(soon(t), path, "-v", "-c", conf)
	log, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	scan := bufio.NewScanner(log)
	for scan.Scan() {
		line := scan.Text()
		if strings.HasSuffix(line, "running") {
			go func() {
				_ = tool(t, &broker{port: port}, "mosquitto_pub", "--cafile", a.file, "--cert", cert, "--key", key, "-i", "id", "-t", "a", "-m", "x").Run()
			}()
		}
		if strings.Contains(line, "New client connected") {
			return line[strings.Index(line, "u'"):]
		}
	}
	t.Fatal("mosquitto logged no client")
	return ""
}

// TestTLSClientsThatAreNotAdmitted has the cases in which mosquitto_pub must fail, and what is logged.
func TestTLSClientsThatAreNotAdmitted(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	lostCert, lostKey, lost := a.issue("lost", ecKey(t), nil)
	oldCert, oldKey, _ := a.issue("old", ecKey(t), func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	})
	strangeCert, strangeKey, _ := other.issue("strange", ecKey(t), nil)
	goodCert, goodKey, _ := a.issue("good", ecKey(t), nil)
	b := a.startTLS(ecKey(t), "cafile "+a.file, "crlfile "+a.revoke("crl", lost), "require_certificate true", "use_identity_as_username true")
	both := []string{"tlsv1.2", "tlsv1.3"}
	f := func(versions []string, want string, args ...string) {
		t.Helper()
		for _, version := range versions {
			t.Setenv("OPENSSL_CONF", atMost(t, version))
			line := awaitLine(t, b, want)
			err := tool(t, b, "mosquitto_pub", append(args, "-t", "a", "-m", "x")...).Run()
			if admitted := strings.HasPrefix(want, "New client"); (err == nil) != admitted {
				t.Errorf("%s: %v", args, err)
			}
			select {
			case <-line:
			case <-time.After(patience):
				t.Errorf("%s: nothing logged has %q", version, want)
			}
		}
	}
	f(both, "New client connected", "--cafile", a.file, "--cert", goodCert, "--key", goodKey)
	f(both, "rejected, client did not provide a certificate.", "--cafile", a.file)
	f(both, "disconnected: TLS error: the client's certificate was refused: it was revoked.", "--cafile", a.file, "--cert", lostCert, "--key", lostKey)
	f(both, "the client's certificate was refused: certificate has expired", "--cafile", a.file, "--cert", oldCert, "--key", oldKey)
	f(both, "the client's certificate was refused: certificate signed by unknown authority", "--cafile", a.file, "--cert", strangeCert, "--key", strangeKey)
	f(both, "disconnected: TLS error: the client says: unknown certificate authority.", "--cafile", other.file, "--cert", goodCert, "--key", goodKey)
}

// openssl runs s_client with what it reads from its standard input, and returns what it printed.
func openssl(t *testing.T, b *broker, input string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(soon(t), "openssl", append([]string{"s_client", "-connect", b.addr()}, args...)...)
	in, err := cmd.StdinPipe()
	must(t, err)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	_, err = io.WriteString(in, input)
	must(t, err)
	if input == "" {
		in.Close()
	}
	_ = cmd.Wait() // its status says less than its words
	return out.String()
}

func TestTLSWithOpenSSL(t *testing.T) {
	a := newAuthority(t)
	secondCert, secondKey, _ := a.issue("second.example", ecKey(t), nil)
	b := a.startTLS(rsaKey(t), "certfile "+secondCert, "keyfile "+secondKey)
	f := func(want string, args ...string) {
		t.Helper()
		if out := openssl(t, b, "", append(args, "-CAfile", a.file)...); !strings.Contains(out, want) {
			t.Errorf("%s: no %q in\n%s", args, want, out)
		}
	}
	f("New, TLSv1.3, Cipher is TLS_", "-tls1_3")
	f("New, TLSv1.2, Cipher is ECDHE-RSA-", "-tls1_2", "-servername", "localhost")
	f("New, TLSv1.2, Cipher is ECDHE-ECDSA-", "-tls1_2", "-servername", "second.example")
	f("subject=CN = second.example", "-servername", "second.example")
	f("subject=CN = localhost", "-servername", "localhost")
	f("subject=CN = localhost", "-noservername")
	f("Verify return code: 0 (ok)", "-servername", "localhost")
	f("alert protocol version", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")

	line := awaitLine(t, b, "disconnected: TLS error: the client asked for renegotiation.")
	openssl(t, b, "R\n", "-tls1_2", "-CAfile", a.file)
	next(t, line)
}

// TestTLSKeyUpdate lets openssl ask for new keys in both directions before it says what an MQTT client says.
func TestTLSKeyUpdate(t *testing.T) {
	a := newAuthority(t)
	b := a.startTLS(ecKey(t))
	cmd := exec.CommandContext(soon(t), "openssl", "s_client", "-connect", b.addr(), "-tls1_3", "-CAfile", a.file)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = cmd.Stdout
	must(t, cmd.Start())
	scan := bufio.NewReader(out)
	until := func(what string) {
		t.Helper()
		for got := ""; !strings.HasSuffix(got, what); {
			c, err := scan.ReadByte()
			if err != nil {
				t.Fatalf("openssl ended before %q: %q", what, got)
			}
			got += string(rune(c))
		}
	}
	for range 3 {
		_, err = io.WriteString(in, "K\n")
		must(t, err)
		until("KEYUPDATE\n")
	}
	_, err = in.Write(connectBytes("id", "", ""))
	must(t, err)
	until("\x20\x02\x00\x00")
	in.Close()
	_ = cmd.Wait()
}

func TestTLSAndPlainMeet(t *testing.T) {
	a := newAuthority(t)
	secure, plain := a.startTLS(ecKey(t)), start(t)
	line := awaitLine(t, secure, "disconnected: TLS error: plain MQTT on a listener with TLS.")
	r, err := dialRaw(secure)
	must(t, err)
	_, err = r.conn.Write(connectBytes("id", "", ""))
	must(t, err)
	next(t, line)
	if _, err := r.in.ReadByte(); err == nil {
		t.Error("a plain client got an answer")
	}
	conn, err := net.Dial("tcp", plain.addr())
	must(t, err)
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if err := tls.Client(conn, a.config()).Handshake(); err == nil {
		t.Error("a plain listener did a handshake")
	}
}

// joinTLS connects and is accepted.
func joinTLS(t *testing.T, b *broker, c *tls.Config, id string) *raw {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", b.addr(), c)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = conn.Write(connectBytes(id, "", ""))
	must(t, err)
	r := &raw{conn: conn, in: bufio.NewReader(conn)}
	if err := r.want(0x20, 0); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTLSReload replaces the certificate while a client is connected, then by a broken one.
func TestTLSReload(t *testing.T) {
	a := newAuthority(t)
	b := a.startTLS(ecKey(t))
	served := func(c *raw) *big.Int { return c.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber }
	old := joinTLS(t, b, a.config(), "old")
	_, _, renewed := a.issue("localhost", ecKey(t), nil) // in the same files
	must(t, b.cmd.Process.Signal(syscall.SIGHUP))
	waitUntil(t, func() bool { return served(joinTLS(t, b, a.config(), "new")).Cmp(renewed.SerialNumber) == 0 })
	must(t, os.WriteFile(filepath.Join(a.dir, "localhost.crt"), []byte("broken"), 0o600))
	line := awaitLine(t, b, "Unable to load server certificate")
	must(t, b.cmd.Process.Signal(syscall.SIGHUP))
	next(t, line)
	if got := served(joinTLS(t, b, a.config(), "newer")); got.Cmp(renewed.SerialNumber) != 0 {
		t.Errorf("after a broken reload the certificate is %v, want %v", got, renewed.SerialNumber)
	}
	_, err := old.conn.Write([]byte{0xC0, 0})
	must(t, err)
	if err := old.want(0xD0, -1); err != nil {
		t.Errorf("the connected client: %v", err)
	}
}

// TestTLSFaultsLeaveNothing counts descriptors and threads around connections that end in every stage of a handshake.
func TestTLSFaultsLeaveNothing(t *testing.T) {
	a := newAuthority(t)
	b := a.startTLS(ecKey(t))
	joinTLS(t, b, a.config(), "first").conn.Close()
	descriptors := func() int {
		d, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid))
		must(t, err)
		return len(d)
	}
	waitUntil(t, func() bool { n := descriptors(); time.Sleep(10 * time.Millisecond); return n == descriptors() })
	before := descriptors()
	hello := clientHello(t)
	for _, part := range [][]byte{nil, hello[:3], hello[:100], hello, append(hello[:len(hello):len(hello)], 20, 3, 3), []byte("GET /"), bytes.Repeat([]byte{0x16, 3, 1}, 100)} {
		for range 20 {
			conn, err := net.Dial("tcp", b.addr())
			must(t, err)
			_, err = conn.Write(part)
			must(t, err)
			conn.Close()
		}
	}
	waitUntil(t, func() bool { return descriptors() == before })
	joinTLS(t, b, a.config(), "last")
}

// waitUntil polls for what another process does.
func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if done() {
			return
		}
	}
	t.Error("it did not come")
}

// clientHello is what a client begins with.
func clientHello(t *testing.T) []byte {
	t.Helper()
	near, far := net.Pipe()
	go func() { _ = tls.Client(near, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	b := make([]byte, 16<<10)
	n, err := far.Read(b)
	must(t, err)
	far.Close()
	near.Close()
	return b[:n]
}

func TestTLSKeyLogIsWritten(t *testing.T) {
	a := newAuthority(t)
	certFile, keyFile, _ := a.issue("localhost", ecKey(t), nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	b := &broker{port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	dir := t.TempDir()
	conf, keys := filepath.Join(dir, "conf"), filepath.Join(dir, "keys")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, "user root\nlistener %d 127.0.0.1\ncertfile %s\nkeyfile %s\nallow_anonymous true\n", b.port, certFile, keyFile), 0o600))
	cmd := exec.CommandContext(soon(t), brokerPath, "-c", conf, "--tls-keylog", keys)
	must(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	waitUntil(t, func() bool {
		c, err := dialRaw(b)
		if err == nil {
			c.conn.Close()
		}
		return err == nil
	})
	joinTLS(t, b, a.config(), "id")
	data, err := os.ReadFile(keys)
	must(t, err)
	if !strings.Contains(string(data), "CLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("the key log holds %q", data)
	}
}

// TestTLSWrongFilesEndTheStart is about the exit status and the words.
func TestTLSWrongFilesEndTheStart(t *testing.T) {
	a := newAuthority(t)
	certFile, keyFile, _ := a.issue("localhost", ecKey(t), nil)
	_, otherKey, _ := a.issue("other", ecKey(t), nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	f := func(lines, want string, status int) {
		t.Helper()
		conf := filepath.Join(t.TempDir(), "conf")
		must(t, os.WriteFile(conf, fmt.Appendf(nil, "user root\nlistener %d 127.0.0.1\n%s\n", port, lines), 0o600))
		cmd := exec.CommandContext(soon(t), brokerPath, "-c", conf)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != status || !strings.Contains(string(out), want) {
			t.Errorf("%q: status %d, want %d with %q:\n%s", lines, got, status, want, out)
		}
	}
	f("certfile /none\nkeyfile "+keyFile, `Unable to load server certificate "/none". Check certfile.`, 1)
	f("certfile "+certFile+"\nkeyfile /none", `Unable to load server key file "/none". Check keyfile.`, 1)
	f("certfile "+certFile+"\nkeyfile "+otherKey, "Check keyfile. Reason: it does not go with certificate", 1)
	good := "certfile " + certFile + "\nkeyfile " + keyFile + "\n"
	f(good+"cafile /none", `Unable to load CA certificates. Check cafile "/none".`, 1)
	f(good+"cafile "+a.file+"\ncrlfile /none", `Unable to load certificate revocation file "/none". Check crlfile.`, 1)
	f(good+"tls_version tlsv1", `Unsupported tls_version "tlsv1".`, 1)
	f(good+"ciphers NOSUCH", `Unable to set TLS ciphers. Check cipher list "NOSUCH".`, 1)
	f(good+"ciphers_tls1.3 NOSUCH", `Unable to set TLS 1.3 ciphersuites. Check cipher_tls13 list "NOSUCH".`, 1)
	f("psk_hint hint", "psk", 3)
}

func TestTLSMQTTjs(t *testing.T) {
	runMQTTjs(t, fmt.Sprintf("mqtts://127.0.0.1:%d", newAuthority(t).startTLS(rsaKey(t)).port))
}
