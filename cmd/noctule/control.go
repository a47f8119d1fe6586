package main

import (
	"encoding/json"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/auth/dynsec"
	"github.com/noctulemq/noctule/config"
)

const (
	dynsecTopic = "$CONTROL/dynamic-security/v1"
	brokerTopic = "$CONTROL/broker/v1"
)

// controlAPI answers what is published to $CONTROL topics. Immutable; dynsec synchronises itself.
type controlAPI struct {
	dynsec    *dynsec.Plugin // nil where no listener uses it
	broker    bool           // enable_control_api
	listeners []listenerInfo
	plugins   []pluginInfo
}

// listenerInfo and pluginInfo are what listListeners and listPlugins give of each.
type listenerInfo struct {
	ID                 int    `json:"id"`
	Port               uint16 `json:"port"`
	Protocol           string `json:"protocol"`
	SocketPath         string `json:"socket-path,omitempty"`
	BindAddress        string `json:"bind-address,omitempty"`
	TLS                bool   `json:"tls"`
	RequireCertificate bool   `json:"require-certificate,omitempty"`
}

type pluginInfo struct {
	Name      string   `json:"name"`
	Version   string   `json:"version,omitempty"`
	Endpoints []string `json:"control-endpoints,omitempty"`
}

func newControlAPI(cfg *config.Config, d *dynsec.Plugin) *controlAPI {
	c := &controlAPI{dynsec: d, broker: cfg.EnableControlAPI}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		c.listeners = append(c.listeners, listenerInfo{ID: i + 1, Port: l.Port, Protocol: l.Protocol, SocketPath: l.SocketPath, BindAddress: l.Address,
			TLS: l.TLS.Wanted(), RequireCertificate: l.TLS.Wanted() && l.TLS.RequireCertificate})
	}
	if d != nil {
		c.plugins = append(c.plugins, pluginInfo{Name: "dynamic-security", Version: version, Endpoints: []string{dynsecTopic}})
	}
	return c
}

// Control implements shard.Control.
func (c *controlAPI) Control(from *auth.Client, topic string, payload []byte) []byte {
	switch {
	case topic == dynsecTopic && c.dynsec != nil:
		return c.dynsec.Handle(from, payload)
	case topic == brokerTopic && c.broker:
		return c.answer(payload)
	}
	return []byte(`{"error":"endpoint not available"}`)
}

type controlResponse struct {
	Command     string          `json:"command"`
	Error       string          `json:"error,omitempty"`
	Data        any             `json:"data,omitempty"`
	Correlation json.RawMessage `json:"correlationData,omitempty"`
}

// answer carries out a message to $CONTROL/broker/v1.
func (c *controlAPI) answer(payload []byte) []byte {
	var in struct {
		Commands []struct {
			Command     string          `json:"command"`
			Correlation json.RawMessage `json:"correlationData"`
		} `json:"commands"`
	}
	responses := []controlResponse{}
	if err := json.Unmarshal(payload, &in); err != nil || in.Commands == nil {
		responses = append(responses, controlResponse{Command: "Unknown command", Error: "Payload not valid JSON"})
	}
	for _, one := range in.Commands {
		r := controlResponse{Command: one.Command, Correlation: one.Correlation}
		switch one.Command {
		case "listListeners":
			r.Data = map[string]any{"listeners": c.listeners}
		case "listPlugins":
			r.Data = map[string]any{"plugins": append([]pluginInfo{}, c.plugins...)}
		default:
			r.Error = "Unknown command"
		}
		responses = append(responses, r)
	}
	out, err := json.Marshal(map[string]any{"responses": responses})
	if err != nil {
		return []byte(`{"error":"internal error"}`) // a correlationData that is no JSON does not come this far
	}
	return out
}
