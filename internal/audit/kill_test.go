//go:build unix

package audit

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// killedPath is the environment variable that makes this test binary the process that is killed.
const killedPath = "SIGHTLINE_AUDIT_KILLED"

// TestKill_NothingGrantedWithoutARecord kills a process with signal 9 while it grants access to many at once, again
// and again on the same record. Each grant that it told of is on record, and the record is sound.
func TestKill_NothingGrantedWithoutARecord(t *testing.T) {
	if path := os.Getenv(killedPath); path != "" {
		grantForEver(path)
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	granted := map[string]bool{}
	for round := range 10 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill_NothingGrantedWithoutARecord$")
		cmd.Env = append(os.Environ(), killedPath+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if subject, ok := strings.CutPrefix(lines.Text(), "granted "); ok {
				granted[subject] = true
			}
			if n == 50+7*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it was not killed")
		}
	}
	session(t, path, "after")
	wantSound(t, path)
	for e, err := range Entries(path) {
		if err != nil {
			t.Fatal(err)
		}
		delete(granted, e.Subject)
	}
	if len(granted) > 0 {
		t.Errorf("%d grants are not on record: %v", len(granted), granted)
	}
}

// grantForEver grants access to 16 at once, and tells of each grant, until it is killed.
func grantForEver(path string) {
	l, err := Open(path, Options{Key: testKey(), RotateSize: 20_000})
	if err != nil {
		panic(err)
	}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := 0; ; n++ {
				subject := fmt.Sprintf("%d-%d-%d", os.Getpid(), i, n)
				if err := l.Append(context.Background(), grant(subject)); err != nil {
					panic(err)
				}
				fmt.Println("granted " + subject)
			}
		})
	}
	panic(l.Run(context.Background()))
}
