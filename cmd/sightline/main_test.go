package main

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sightline/internal/auth"
	"sightline/internal/authority"
	"sightline/internal/media"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sightline": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"verify": verify,
			"newca":  newCA,
		},
	})
}

// verify DIR KIND ACTION STREAM checks the token on the last command's standard output as a server with the
// data directory DIR would.
func verify(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: verify DIR KIND ACTION STREAM")
	}
	a, err := auth.Open(ts.MkAbs(args[0]), auth.Options{})
	ts.Check(err)
	token := ts.ReadFile("stdout")
	if n := len(token); n == 0 || token[n-1] != '\n' {
		ts.Fatalf("the token is not one line")
	}
	p, err := a.Verify(token[:len(token)-1], auth.Kind("sightline-"+args[1]+"+jwt"))
	if err == nil {
		err = p.Allows(auth.Action(args[2]), media.StreamID(args[3]))
	}
	if neg != (err != nil) {
		ts.Fatalf("verify: %v", err)
	}
}

// newca DIR makes an authority in DIR, as the server does at first start.
func newCA(ts *testscript.TestScript, _ bool, args []string) {
	_, err := authority.Open(ts.MkAbs(args[0]), nil, time.Now)
	ts.Check(err)
}
