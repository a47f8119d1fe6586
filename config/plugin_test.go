package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestPluginsAndTheirOptions(t *testing.T) {
	c := parsed(t, `global_plugin /usr/lib/mosquitto_sparkplug_aware.so
plugin_load people /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so
plugin_opt_config_file /var/lib/mosquitto/dynsec.json
auth_opt_password_init_file a b
plugin_opt_config_file /second
listener 1883
plugin_use people
listener 1884
auth_plugin mosquitto_password_file.so
plugin_opt_password_file p
`)
	people := Plugin{Name: "people", Path: "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so", Builtin: DynamicSecurity,
		Options: []Option{{"config_file", "/var/lib/mosquitto/dynsec.json"}, {"password_init_file", "a b"}, {"config_file", "/second"}}, File: "test.conf", Line: 2}
	global := []Plugin{
		{Path: "/usr/lib/mosquitto_sparkplug_aware.so", Builtin: SparkplugAware, File: "test.conf", Line: 1},
		{Path: "mosquitto_password_file.so", Builtin: PasswordFile, Options: []Option{{"password_file", "p"}}, File: "test.conf", Line: 9},
	}
	if !reflect.DeepEqual(c.Plugins, global) || !reflect.DeepEqual(c.Listeners[0].Plugins, []Plugin{people}) || c.Listeners[1].Plugins != nil {
		t.Errorf("global %+v, listeners %+v", c.Plugins, c.Listeners)
	}
	if got := c.Security(&c.Listeners[0]).Plugins; !reflect.DeepEqual(got, []Plugin{people, global[0], global[1]}) {
		t.Errorf("plugins of the first listener: %+v", got)
	}
	if v, ok := people.Option("config_file"); v != "/second" || !ok {
		t.Errorf("config_file is %q", v)
	}
	if _, ok := people.Option("file"); ok {
		t.Error("an option that was not given")
	}
	if len(c.Unsupported) != 0 {
		t.Errorf("unsupported: %v", c.Unsupported)
	}
}

func TestPluginsOfOneListener(t *testing.T) {
	c := parsed(t, "per_listener_settings true\nlistener 1883\nplugin mosquitto_acl_file.so\nplugin_opt_acl_file a\nlistener 1884\nglobal_plugin mosquitto_persist_sqlite.so\n")
	if len(c.Plugins) != 1 || c.Plugins[0].Builtin != PersistSQLite || len(c.Listeners[0].Plugins) != 1 || len(c.Listeners[1].Plugins) != 0 {
		t.Errorf("%+v", c)
	}
	if p := c.Listeners[0].Plugins[0]; p.Builtin != ACLFile || len(p.Options) != 1 || p.Builtin.String() != "mosquitto_acl_file.so" {
		t.Errorf("%+v", p)
	}
}

func TestUnknownPluginsAreRefusedWithAWayOut(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		all := parsed(t, "plugin "+path+"\nplugin_opt_x1 y").Unsupported
		if len(all) != 1 || !strings.Contains(all[0].Text, "'"+path+"' cannot be loaded") || !strings.Contains(all[0].Text, want) {
			t.Errorf("%s: %v", path, all)
		}
	}
	f("/mosquitto/go-auth.so", "exported to a password_file and an acl_file")
	f("/usr/lib/mosquitto-auth-plug/auth-plug.so", "exported to")
	f("/opt/my_persist.so", "persistence true")
	f("/opt/dynsec.so", "is called mosquitto_dynamic_security.so")
	f("/opt/my_password.so", "use password_file")
	f("/opt/acl.so", "use acl_file")
	f("x.so", "what is built in is password_file")
}

func TestPluginThatNobodyUsesIsNoted(t *testing.T) {
	c := parsed(t, "plugin_load a mosquitto_acl_file.so\n")
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0].Text, "'plugin_use a' is missing") {
		t.Errorf("notes: %v", c.Notes)
	}
}

func TestSecurityOfAListener(t *testing.T) {
	security := func(text string, listener int) Security {
		t.Helper()
		c := parsed(t, text)
		return c.Security(&c.Listeners[listener])
	}
	want := Security{AllowZeroLengthClientID: true, AutoIDPrefix: "auto-"}
	if got := security("listener 1883", 0); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	text := "allow_anonymous true\npassword_file p\nacl_file a\npsk_file k\nallow_zero_length_clientid false\nauto_id_prefix x-\nlistener 1883\nlistener 1884\nlistener_allow_anonymous false\nlistener_auto_id_prefix y-\n"
	want = Security{AllowAnonymous: true, PasswordFile: "p", ACLFile: "a", PSKFile: "k", AutoIDPrefix: "x-"}
	if got := security(text, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	want.AllowAnonymous, want.AutoIDPrefix = false, "y-"
	if got := security(text, 1); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	text = "per_listener_settings true\nlistener 1883\n" + text[:strings.Index(text, "listener 1883")] + "listener 1884\n"
	want = Security{AllowAnonymous: true, PasswordFile: "p", ACLFile: "a", PSKFile: "k", AutoIDPrefix: "x-"}
	if got := security(text, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	want = Security{AllowZeroLengthClientID: true, AutoIDPrefix: "auto-"}
	if got := security(text, 1); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}
