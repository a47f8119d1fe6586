package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// needMQTTjs installs MQTT.js from npm where it is not there.
func needMQTTjs(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("mqttjs/node_modules"); err != nil {
		if out, err := exec.Command("npm", "ci", "--prefix", "mqttjs", "--no-audit", "--no-fund").CombinedOutput(); err != nil {
			t.Fatalf("MQTT.js is not installed, run make deps: %v\n%s", err, out)
		}
	}
}

// runMQTTjs runs mqttjs/run.js, MQTT.js under Node, against a URL, for each protocol version.
func runMQTTjs(t *testing.T, url string) {
	t.Helper()
	needMQTTjs(t)
	for _, version := range []string{"3", "4", "5"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), "node", "mqttjs/run.js", url, version).CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "ok" {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

func TestMQTTjs(t *testing.T) {
	runMQTTjs(t, fmt.Sprintf("mqtt://127.0.0.1:%d", start(t).port))
}
