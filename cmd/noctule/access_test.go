package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestFilesOfUsersAndRights holds what a start says and returns when a file that decides who may do what is not usable.
func TestFilesOfUsersAndRights(t *testing.T) {
	dir := t.TempDir()
	bad, missing := filepath.Join(dir, "bad"), filepath.Join(dir, "missing")
	writeFile(t, bad, "topic nonsense x\n")
	for lines, want := range map[string]struct {
		status int
		text   string
	}{
		"password_file " + missing:                                    {exitPlugin, "Unable to open pwfile"},
		"password_file " + bad:                                        {exitConfig, bad + ":1"},
		"acl_file " + missing:                                         {exitPlugin, "Unable to open acl_file"},
		"acl_file " + bad:                                             {exitConfig, bad + ":1"},
		"plugin /x/mosquitto_password_file.so":                        {exitPlugin, "'plugin_opt_password_file FILE'"},
		"plugin /x/mosquitto_acl_file.so":                             {exitPlugin, "'plugin_opt_acl_file FILE'"},
		"plugin /x/mosquitto_dynamic_security.so":                     {exitPlugin, "'plugin_opt_config_file FILE'"},
		dynsecConf(bad):                                               {exitPlugin, "not valid JSON"},
		dynsecConf(bad) + "acl_file " + missing:                       {exitPlugin, "Unable to open acl_file"},
		"plugin /x/go-auth.so":                                        {exitPlugin, "mosquitto_dynamic_security.so"},
		"certfile " + bad + "\nkeyfile " + bad:                        {exitSetup, "Check certfile"},
		"password_file " + bad + "\nacl_file " + bad:                  {exitConfig, "nonsense"},
		"psk_file " + missing + "\npsk_hint h":                        {exitConfig, "psk"},
		"plugin /x/mosquitto_acl_file.so\nplugin_opt_acl_file " + bad: {exitConfig, bad + ":1"},
	} {
		conf := writeConfig(t, fmt.Sprintf("listener %d 127.0.0.1", freePort(t)), "user root", lines)
		status, _, errs := result(t, "-c", conf)
		if status != want.status || !strings.Contains(errs, want.text) {
			t.Errorf("%q: status %d, want %d with %q:\n%s", lines, status, want.status, want.text, errs)
		}
	}
}

func dynsecConf(file string) string {
	return "plugin /x/mosquitto_dynamic_security.so\nplugin_opt_config_file " + file + "\n"
}
