package supervise_test

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel shares out processors by session.
func TestRun_ChildHasASessionOfItsOwn(t *testing.T) {
	k := keep(t, "stay", nil)
	pid, err := strconv.Atoi(get(t, "the child", k.said))
	if err != nil {
		t.Fatal(err)
	}
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("process %d is of session %d: %v", pid, session, err)
	}
	k.end()
}
