//! What was unusual in a TCP stream, by the peer's names of stream events. A set of them is one number: nothing is allocated.

#[rustfmt::skip]
ips_wire::events! {
    /// Something unusual in a stream.
    StreamEvent STREAM_EVENTS StreamEvents {
    HandshakeAckDataInject "3whs_ack_data_inject";
    HandshakeAckInWrongDir "3whs_ack_in_wrong_dir";
    HandshakeAsyncWrongSeq "3whs_async_wrong_seq";
    HandshakeRightSeqWrongAckEvasion "3whs_right_seq_wrong_ack_evasion";
    HandshakeSynFlood "3whs_syn_flood";
    HandshakeSynResendDiffSeqOnSynRecv "3whs_syn_resend_diff_seq_on_syn_recv";
    HandshakeSynToclientOnSynRecv "3whs_syn_toclient_on_syn_recv";
    HandshakeSynackFlood "3whs_synack_flood";
    HandshakeSynackInWrongDirection "3whs_synack_in_wrong_direction";
    HandshakeSynackResendWithDiffSeq "3whs_synack_resend_with_diff_seq";
    HandshakeSynackResendWithDifferentAck "3whs_synack_resend_with_different_ack";
    HandshakeSynackTfoDataIgnored "3whs_synack_tfo_data_ignored";
    HandshakeSynackToserverOnSynRecv "3whs_synack_toserver_on_syn_recv";
    HandshakeSynackWithWrongAck "3whs_synack_with_wrong_ack";
    HandshakeWrongSeqWrongAck "3whs_wrong_seq_wrong_ack";
    FourWayInvalidAck "4whs_invalid_ack";
    FourWaySynackWithWrongAck "4whs_synack_with_wrong_ack";
    FourWaySynackWithWrongSyn "4whs_synack_with_wrong_syn";
    FourWayWrongSeq "4whs_wrong_seq";
    ClosewaitAckOutOfWindow "closewait_ack_out_of_window";
    ClosewaitFinOutOfWindow "closewait_fin_out_of_window";
    ClosewaitInvalidAck "closewait_invalid_ack";
    ClosewaitPktBeforeLastAck "closewait_pkt_before_last_ack";
    ClosingAckWrongSeq "closing_ack_wrong_seq";
    ClosingInvalidAck "closing_invalid_ack";
    EstInvalidAck "est_invalid_ack";
    EstPacketOutOfWindow "est_packet_out_of_window";
    EstPktBeforeLastAck "est_pkt_before_last_ack";
    EstSynResend "est_syn_resend";
    EstSynResendDiffSeq "est_syn_resend_diff_seq";
    EstSynToclient "est_syn_toclient";
    EstSynackResend "est_synack_resend";
    EstSynackResendWithDiffSeq "est_synack_resend_with_diff_seq";
    EstSynackResendWithDifferentAck "est_synack_resend_with_different_ack";
    EstSynackToserver "est_synack_toserver";
    Fin1AckWrongSeq "fin1_ack_wrong_seq";
    Fin1FinWrongSeq "fin1_fin_wrong_seq";
    Fin1InvalidAck "fin1_invalid_ack";
    Fin2AckWrongSeq "fin2_ack_wrong_seq";
    Fin2FinWrongSeq "fin2_fin_wrong_seq";
    Fin2InvalidAck "fin2_invalid_ack";
    FinButNoSession "fin_but_no_session";
    FinInvalidAck "fin_invalid_ack";
    FinOutOfWindow "fin_out_of_window";
    FinSyn "fin_syn";
    LastackAckWrongSeq "lastack_ack_wrong_seq";
    LastackInvalidAck "lastack_invalid_ack";
    PktBadWindowUpdate "pkt_bad_window_update";
    PktBrokenAck "pkt_broken_ack";
    PktInvalidAck "pkt_invalid_ack";
    PktInvalidTimestamp "pkt_invalid_timestamp";
    PktRetransmission "pkt_retransmission";
    PktSpuriousRetransmission "pkt_spurious_retransmission";
    ReassemblyDepthReached "reassembly_depth_reached";
    ReassemblyOverlapDifferentData "reassembly_overlap_different_data";
    ReassemblySegmentBeforeBaseSeq "reassembly_segment_before_base_seq";
    ReassemblySeqGap "reassembly_seq_gap";
    ReassemblyUrgentOobLimitReached "reassembly_urgent_oob_limit_reached";
    RstButNoSession "rst_but_no_session";
    RstInvalidAck "rst_invalid_ack";
    ShutdownSynResend "shutdown_syn_resend";
    SuspectedRstInject "suspected_rst_inject";
    TimewaitAckWrongSeq "timewait_ack_wrong_seq";
    TimewaitInvalidAck "timewait_invalid_ack";
    WrongThread "wrong_thread";
    }
}
