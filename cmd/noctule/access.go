package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/auth/dynsec"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/logging"
)

// accessFiles reads what decides who may do what, each file once however many listeners name it. It is used for one
// configuration and thrown away; only the dynamic security of a file lives as long as the broker.
type accessFiles struct {
	server    *server
	passwords map[string]*auth.Passwords
	acls      map[string]*auth.ACL
	errs      []error
}

// loadAccess returns what decides for each listener of cfg, in their order. The errors name every file that cannot be used;
// then nothing has changed.
func (s *server) loadAccess(cfg *config.Config) ([]*auth.Scope, error) {
	f := &accessFiles{server: s, passwords: map[string]*auth.Passwords{}, acls: map[string]*auth.ACL{}}
	scopes := make([]*auth.Scope, len(cfg.Listeners))
	for i := range cfg.Listeners {
		scopes[i] = f.scope(cfg.Security(&cfg.Listeners[i]))
	}
	return scopes, errors.Join(f.errs...)
}

// scope is what decides for one listener. Listeners with the same settings have scopes of their own, of the same files.
func (f *accessFiles) scope(sec config.Security) *auth.Scope {
	scope := &auth.Scope{AllowAnonymous: sec.AllowAnonymous}
	if sec.PasswordFile != "" {
		scope.Passwords = f.passwordFile(sec.PasswordFile)
	}
	if sec.ACLFile != "" {
		scope.ACL = f.aclFile(sec.ACLFile)
	}
	for i := range sec.Plugins {
		f.plugin(scope, &sec.Plugins[i])
	}
	return scope
}

// plugin adds what takes the place of one plugin.
func (f *accessFiles) plugin(scope *auth.Scope, p *config.Plugin) {
	switch p.Builtin {
	case config.PasswordFile:
		switch path, ok := p.Option("password_file"); {
		case !ok:
			f.missing(p, "password_file")
		case scope.Passwords != nil:
			f.twice(p, "password_file")
		default:
			scope.Passwords = f.passwordFile(path)
		}
	case config.ACLFile:
		switch path, ok := p.Option("acl_file"); {
		case !ok:
			f.missing(p, "acl_file")
		case scope.ACL != nil:
			f.twice(p, "acl_file")
		default:
			scope.ACL = f.aclFile(path)
		}
	case config.DynamicSecurity:
		path, ok := p.Option("config_file")
		if !ok {
			f.missing(p, "config_file")
			return
		}
		d, err := f.server.dynamicSecurity(path, p)
		if err != nil {
			f.errs = append(f.errs, err)
			return
		}
		scope.Providers = append(scope.Providers, d)
	}
}

func (f *accessFiles) missing(p *config.Plugin, option string) {
	f.errs = append(f.errs, pluginErrorf("%s needs the line 'plugin_opt_%s FILE' below it (%s:%d)", p.Builtin, option, p.File, p.Line))
}

func (f *accessFiles) twice(p *config.Plugin, option string) {
	f.errs = append(f.errs, pluginErrorf("a listener has one %s: leave out %s or the other (%s:%d)", option, p.Builtin, p.File, p.Line))
}

func (f *accessFiles) passwordFile(path string) *auth.Passwords {
	have, read := f.passwords[path]
	if !read {
		var err error
		if have, err = auth.LoadPasswords(path); err != nil {
			f.errs = append(f.errs, err)
		}
		f.passwords[path] = have
	}
	return have
}

func (f *accessFiles) aclFile(path string) *auth.ACL {
	have, read := f.acls[path]
	if !read {
		var err error
		if have, err = auth.LoadACL(path); err != nil {
			f.errs = append(f.errs, err)
		} else {
			for _, line := range have.Warnings() {
				f.server.log.Log(logging.Warning, "Warning: "+line)
			}
		}
		f.acls[path] = have
	}
	return have
}

// dynamicSecurity returns the dynamic security of a file, opened once in the life of the broker: what is changed through
// $CONTROL is in force and in the file at once.
func (s *server) dynamicSecurity(path string, p *config.Plugin) (*dynsec.Plugin, error) {
	if s.dynsec != nil {
		if s.dynsecFile == path {
			return s.dynsec, nil
		}
		return nil, pluginErrorf("there can be one mosquitto_dynamic_security.so, and it has the file %s: restart the broker to use %s", s.dynsecFile, path)
	}
	initFile, _ := p.Option("password_init_file")
	d, err := dynsec.Open(dynsec.Options{
		File: path, InitFile: initFile, InitPassword: os.Getenv("MOSQUITTO_DYNSEC_PASSWORD"),
		Log:  func(line string) { s.log.Log(logging.Notice, line) },
		Kick: s.kick,
	})
	if err != nil {
		return nil, pluginError{err}
	}
	s.dynsec, s.dynsecFile = d, path
	return d, nil
}

// pluginError is what keeps one of the built-ins from doing its work.
type pluginError struct{ error }

func pluginErrorf(format string, args ...any) error { return pluginError{fmt.Errorf(format, args...)} }

// kick disconnects clients of the dynamic security. The goroutine that answers control messages.
func (s *server) kick(match func(*auth.Client) bool) {
	if s.broker == nil {
		return
	}
	if err := s.broker.Disconnect(match, codec.AdministrativeAction, "disconnected: administrative action."); err != nil {
		s.log.Logf(logging.Warning, "Warning: clients could not be disconnected: %s", err)
	}
}
