package h264

import (
	"errors"
	"fmt"
)

// SPS is what a sequence parameter set (clause 7.3.2.1.1) tells about its stream.
type SPS struct {
	Profile     uint8 // profile_idc
	Constraints uint8 // the constraint_set flags and reserved bits, as one byte
	Level       uint8 // level_idc

	Width, Height int // pixels, cropping applied
	RefFrames     int // max_num_ref_frames
	POCType       int // pic_order_cnt_type
	Interlaced    bool

	// FrameRateMilli is frames a second × 1000 from the timing in the VUI, 0 if it has none.
	FrameRateMilli int
	// Restricted tells that the VUI has bitstream_restriction; Reorder and DecBuffering are meaningful only then.
	Restricted   bool
	Reorder      int // max_num_reorder_frames
	DecBuffering int // max_dec_frame_buffering

	body        []byte // RBSP behind the NAL header
	vuiFlag     int    // bit position of vui_parameters_present_flag
	hasVUI      bool
	restriction int // bit position of bitstream_restriction_flag, if hasVUI
	reorderAt   int // bit position of max_num_reorder_frames, if Restricted
	header      byte
}

// ErrSPS is wrapped by the errors of ParseSPS.
var ErrSPS = errors.New("malformed sequence parameter set")

const maxDimension = 16384 // pixels; level 6.2 ends far below

// ParseSPS reads n, a NAL unit of type 7. It keeps no part of n.
func ParseSPS(n NAL) (*SPS, error) {
	if n.Type() != TypeSPS || len(n) < 4 {
		return nil, fmt.Errorf("%w: NAL unit of type %d with %d bytes", ErrSPS, n.Type(), len(n))
	}
	s := &SPS{header: n[0], body: rbsp(n[1:])}
	r := &bitReader{b: s.body}
	s.Profile, s.Constraints, s.Level = uint8(r.u(8)), uint8(r.u(8)), uint8(r.u(8))
	if id := r.ue(); id > 31 {
		return nil, fmt.Errorf("%w: seq_parameter_set_id %d", ErrSPS, id)
	}
	chroma := uint32(1)
	if highProfile(s.Profile) {
		if chroma = r.ue(); chroma > 3 {
			return nil, fmt.Errorf("%w: chroma_format_idc %d", ErrSPS, chroma)
		}
		if chroma == 3 {
			r.bit() // separate_colour_plane_flag
		}
		r.ue()        // bit_depth_luma_minus8
		r.ue()        // bit_depth_chroma_minus8
		r.bit()       // qpprime_y_zero_transform_bypass_flag
		if r.flag() { // seq_scaling_matrix_present_flag
			skipScaling(r, chroma)
		}
	}
	r.ue() // log2_max_frame_num_minus4
	if err := s.readPOC(r); err != nil {
		return nil, err
	}
	s.RefFrames = int(r.ue())
	r.bit() // gaps_in_frame_num_value_allowed_flag
	if err := s.readSize(r, chroma); err != nil {
		return nil, err
	}
	s.vuiFlag = r.pos
	if s.hasVUI = r.flag(); s.hasVUI {
		s.readVUI(r)
	}
	switch {
	case r.err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSPS, r.err)
	case s.RefFrames > 16:
		return nil, fmt.Errorf("%w: max_num_ref_frames %d", ErrSPS, s.RefFrames)
	}
	return s, nil
}

func highProfile(profile uint8) bool {
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		return true
	}
	return false
}

func skipScaling(r *bitReader, chroma uint32) {
	lists := 8
	if chroma == 3 {
		lists = 12
	}
	for i := range lists {
		if !r.flag() {
			continue
		}
		size := 16
		if i >= 6 {
			size = 64
		}
		last, next := int32(8), int32(8)
		for range size {
			if next != 0 {
				next = (last + r.se() + 256) % 256
			}
			if next != 0 {
				last = next
			}
		}
	}
}

func (s *SPS) readPOC(r *bitReader) error {
	s.POCType = int(r.ue())
	switch s.POCType {
	case 0:
		r.ue() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		r.bit() // delta_pic_order_always_zero_flag
		r.se()  // offset_for_non_ref_pic
		r.se()  // offset_for_top_to_bottom_field
		n := r.ue()
		if n > 255 {
			return fmt.Errorf("%w: num_ref_frames_in_pic_order_cnt_cycle %d", ErrSPS, n)
		}
		for range n {
			r.se()
		}
	case 2:
	default:
		return fmt.Errorf("%w: pic_order_cnt_type %d", ErrSPS, s.POCType)
	}
	return nil
}

func (s *SPS) readSize(r *bitReader, chroma uint32) error {
	width, mapHeight := int64(r.ue())+1, int64(r.ue())+1
	progressive := r.flag() // frame_mbs_only_flag
	s.Interlaced = !progressive
	fields := int64(1)
	if !progressive {
		fields = 2
		r.bit() // mb_adaptive_frame_field_flag
	}
	r.bit() // direct_8x8_inference_flag
	width, height := width*16, mapHeight*16*fields
	if r.flag() { // frame_cropping_flag
		left, right, top, bottom := int64(r.ue()), int64(r.ue()), int64(r.ue()), int64(r.ue())
		unitX, unitY := int64(1), fields // clause 7.4.2.1.1, CropUnitX and CropUnitY
		if chroma == 1 || chroma == 2 {
			unitX = 2
		}
		if chroma == 1 {
			unitY *= 2
		}
		width -= (left + right) * unitX
		height -= (top + bottom) * unitY
	}
	if r.err == nil && (width <= 0 || height <= 0 || width > maxDimension || height > maxDimension) {
		return fmt.Errorf("%w: %dx%d pixels", ErrSPS, width, height)
	}
	s.Width, s.Height = int(width), int(height)
	return nil
}

// readVUI reads vui_parameters (clause E.1.1).
func (s *SPS) readVUI(r *bitReader) {
	if r.flag() { // aspect_ratio_info_present_flag
		if r.u(8) == 255 { // Extended_SAR
			r.u(32)
		}
	}
	if r.flag() { // overscan_info_present_flag
		r.bit()
	}
	if r.flag() { // video_signal_type_present_flag
		r.u(4)
		if r.flag() {
			r.u(24)
		}
	}
	if r.flag() { // chroma_loc_info_present_flag
		r.ue()
		r.ue()
	}
	if r.flag() { // timing_info_present_flag
		units, scale := r.u(32), r.u(32)
		r.bit()         // fixed_frame_rate_flag
		if units != 0 { // a frame is two units (clause E.2.1)
			if rate := uint64(scale) * 1000 / (2 * uint64(units)); rate <= 1_000_000 {
				s.FrameRateMilli = int(rate)
			}
		}
	}
	nal := r.flag()
	if nal {
		skipHRD(r)
	}
	vcl := r.flag()
	if vcl {
		skipHRD(r)
	}
	if nal || vcl {
		r.bit() // low_delay_hrd_flag
	}
	r.bit() // pic_struct_present_flag
	s.restriction = r.pos
	if s.Restricted = r.flag(); !s.Restricted {
		return
	}
	r.bit() // motion_vectors_over_pic_boundaries_flag
	r.ue()  // max_bytes_per_pic_denom
	r.ue()  // max_bits_per_mb_denom
	r.ue()  // log2_max_mv_length_horizontal
	r.ue()  // log2_max_mv_length_vertical
	s.reorderAt = r.pos
	s.Reorder, s.DecBuffering = int(r.ue()), int(r.ue())
}

// skipHRD skips hrd_parameters (clause E.1.2).
func skipHRD(r *bitReader) {
	n := r.ue()
	if n > 31 {
		r.err = errShort
		return
	}
	r.u(8)
	for range n + 1 {
		r.ue()
		r.ue()
		r.bit()
	}
	r.u(20)
}

// CodecString is the RFC 6381 text for WebCodecs and MSE, such as avc1.64001f.
func (s *SPS) CodecString() string {
	return fmt.Sprintf("avc1.%02x%02x%02x", s.Profile, s.Constraints, s.Level)
}

// HoldsBack tells that a decoder may keep pictures before it shows them, since the set does not rule out that they come in another order
// than they are shown: hardware decoders then wait for as many as the level allows.
func (s *SPS) HoldsBack() bool { return !s.Restricted || s.Reorder > 0 }

// WithoutReordering gives the NAL unit of a set that is the same but tells decoders that pictures come in the order they are shown (bitstream_restriction with
// max_num_reorder_frames 0 and max_dec_frame_buffering as many as are referred to). It is right only for streams without B slices.
func (s *SPS) WithoutReordering() NAL {
	var w bitWriter
	switch {
	case !s.hasVUI:
		w.copyBits(s.body, s.vuiFlag)
		w.bit(1)
		w.u(8, 0) // none of aspect ratio, overscan, signal type, chroma location, timing, the two HRDs and pic_struct
		s.restrict(&w)
	case !s.Restricted:
		w.copyBits(s.body, s.restriction)
		s.restrict(&w)
	default:
		w.copyBits(s.body, s.reorderAt)
		w.ue(0)
		w.ue(uint32(s.RefFrames))
	}
	w.trailing()
	return append(NAL{s.header}, escape(w.b)...)
}

// restrict writes bitstream_restriction_flag and what follows it, with the values that clause E.2.1 infers where nothing is said.
func (s *SPS) restrict(w *bitWriter) {
	w.bit(1)
	w.bit(1) // motion_vectors_over_pic_boundaries_flag
	w.ue(2)  // max_bytes_per_pic_denom
	w.ue(1)  // max_bits_per_mb_denom
	w.ue(15) // log2_max_mv_length_horizontal
	w.ue(15) // log2_max_mv_length_vertical
	w.ue(0)  // max_num_reorder_frames
	w.ue(uint32(s.RefFrames))
}
