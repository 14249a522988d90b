package media

import "slices"

// Cause is why a stream is in its state, in one stable word beside the sentence that says it in English: pages say it in other
// languages. Empty where none fits.
type Cause string

// The causes. Words do not change between versions.
const (
	CauseUnpublished Cause = "unpublished" // nobody has published it yet
	CauseLeft        Cause = "left"        // its publisher left
	CauseUnheard     Cause = "unheard"     // its publisher says nothing
	CauseRestarted   Cause = "restarted"   // its capture process ended and is started again
	CauseNoCodec     Cause = "no-codec"    // the viewer decodes none of what there is
	CauseNetwork     Cause = "network"     // the viewer's network carries still pictures alone

	CauseRefused     Cause = "refused"      // wrong name or password
	CauseNoPictures  Cause = "no-pictures"  // it sends none
	CauseEnded       Cause = "ended"        // there are no more
	CauseSilent      Cause = "silent"       // it does not answer
	CauseClosed      Cause = "closed"       // it accepts no connections
	CauseBrokenOff   Cause = "broken-off"   // it broke the connection off
	CauseUnknownName Cause = "unknown-name" // its host's name is not known
	CauseNotFound    Cause = "not-found"    // there is nothing at its path
	CauseUnplugged   Cause = "unplugged"    // its device is not there
	CauseForbidden   Cause = "forbidden"    // this user may not read it
	CauseInUse       Cause = "in-use"       // another program has it
	CauseFormat      Cause = "format"       // it does not offer what is asked for
	CauseNoVideo     Cause = "no-video"     // there is no video in it
	CauseUndecodable Cause = "undecodable"  // it is no video that can be decoded
	CauseUnverified  Cause = "unverified"   // nobody vouches for its certificate
	CauseAway        Cause = "away"         // the page that publishes it may be in the background
)

var causes = []Cause{ //nolint:gochecknoglobals // a table nobody writes to
	CauseUnpublished, CauseLeft, CauseUnheard, CauseRestarted, CauseNoCodec, CauseNetwork,
	CauseRefused, CauseNoPictures, CauseEnded, CauseSilent, CauseClosed, CauseBrokenOff, CauseUnknownName, CauseNotFound,
	CauseUnplugged, CauseForbidden, CauseInUse, CauseFormat, CauseNoVideo, CauseUndecodable, CauseUnverified, CauseAway,
}

// Known tells whether c is one of these.
func (c Cause) Known() bool { return slices.Contains(causes, c) }
