package e2e

import (
	"fmt"
	"testing"
)

// ask publishes to a $CONTROL topic and returns the response.
func ask(t *testing.T, b *broker, topic, message string) string {
	t.Helper()
	c := joinRaw(t, b, "asker", "", "")
	if _, err := c.conn.Write(append(subscribeBytes(0, "$CONTROL/#"), publishBytes(1, topic, 7, []byte(message))...)); err != nil {
		t.Fatal(err)
	}
	if err := c.want(0x90, 0); err != nil {
		t.Fatal(err)
	}
	if err := c.want(0x40, 7); err != nil {
		t.Fatal(err)
	}
	first, body, err := c.packet()
	if err != nil || first != 0x30 {
		t.Fatalf("%02X, %v", first, err)
	}
	n := 2 + int(body[0])<<8 + int(body[1])
	if got := string(body[2:n]); got != topic+"/response" {
		t.Fatalf("the response came on %s", got)
	}
	return string(body[n:])
}

// TestBrokerControl holds the answers of $CONTROL/broker/v1, and of endpoints that nobody has.
func TestBrokerControl(t *testing.T) {
	t.Parallel()
	b := start(t, "enable_control_api true", "plugin mosquitto_sparkplug_aware.so")
	for _, c := range []struct{ topic, message, want string }{
		{"$CONTROL/broker/v1", `{"commands":[{"command":"listListeners","correlationData":"x"}]}`,
			fmt.Sprintf(`{"responses":[{"command":"listListeners","data":{"listeners":[{"id":1,"port":%d,"protocol":"mqtt","bind-address":"127.0.0.1","tls":false}]},"correlationData":"x"}]}`, b.port)},
		{"$CONTROL/broker/v1", `{"commands":[{"command":"listPlugins"},{"command":"nothing"}]}`,
			`{"responses":[{"command":"listPlugins","data":{"plugins":[]}},{"command":"nothing","error":"Unknown command"}]}`},
		{"$CONTROL/broker/v1", `not json`, `{"responses":[{"command":"Unknown command","error":"Payload not valid JSON"}]}`},
		{"$CONTROL/nobody/v1", `{}`, `{"error":"endpoint not available"}`},
	} {
		if got := ask(t, b, c.topic, c.message); got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.topic, c.message, got, c.want)
		}
	}
}

// TestSparkplugCertificates holds that births are kept below $sparkplug/certificates, and nothing else is.
func TestSparkplugCertificates(t *testing.T) {
	t.Parallel()
	b := start(t, "plugin /usr/lib/mosquitto_sparkplug_aware.so")
	lines := listen(t, b, 2, "-t", "$sparkplug/certificates/#", "-q", "1")
	for _, topic := range []string{"spBv1.0/plant/NDATA/node", "spBv1.0/plant/NBIRTH/node", "spBv1.0/plant/DBIRTH/node/pump"} {
		if out, err := tool(t, b, "mosquitto_pub", "-t", topic, "-m", topic).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, want := range []string{"spBv1.0/plant/NBIRTH/node", "spBv1.0/plant/DBIRTH/node/pump"} {
		if got := next(t, lines); got != "$sparkplug/certificates/"+want+" "+want+" 0" {
			t.Errorf("got %q, want the certificate of %s", got, want)
		}
	}
	kept := listen(t, b, 2, "-t", "$sparkplug/certificates/#")
	for range 2 {
		if got := next(t, kept); got[len(got)-2:] != " 1" {
			t.Errorf("a late subscriber got %q, want it retained", got)
		}
	}
}
