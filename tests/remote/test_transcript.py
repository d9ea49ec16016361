from fetchrules.remote.transcript import Speaker, Transcript, TranscriptLine


def test_it_keeps_how_a_session_began_and_ended() -> None:
    transcript = Transcript(head=2, tail=2)
    for number in range(7):
        transcript(Speaker.CLIENT, f"RETR {number}")
    assert [line.text for line in transcript.head] == ["RETR 0", "RETR 1"]
    assert [line.text for line in transcript.tail] == ["RETR 5", "RETR 6"]
    assert transcript.left_out == 3


def test_it_leaves_nothing_out_of_a_short_session() -> None:
    transcript = Transcript()
    transcript(Speaker.SERVER, "+OK")
    assert transcript.head == [TranscriptLine(Speaker.SERVER, "+OK")]
    assert not transcript.tail
    assert transcript.left_out == 0


def test_it_makes_what_a_server_says_harmless() -> None:
    transcript = Transcript()
    transcript(Speaker.SERVER, "+OK \x1b[2J\u202e" + "x" * 1000)
    text = transcript.head[0].text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text) <= 200
