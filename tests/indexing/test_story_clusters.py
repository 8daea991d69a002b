"""One story at several outlets: recognised, kept at what the library shows, and told once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make, take_in
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, text
from wire_story import (
    AGENCY,
    COURIER,
    CREW,
    HERALD,
    LOCAL,
    LOCALS,
    MORNING,
    OUTLETS,
    OWN,
    TUGS,
    WIRE,
    WITNESS,
    printed,
)

from bot.answering.answer import Answer
from bot.articles.article import Article
from bot.articles.chunking import split_passages
from bot.indexing.filters import SearchFilters
from bot.indexing.story_clusters import StoryClusters
from bot.retrieval.models import Hit
from bot.services import Services
from bot.storage.article_store import ArticleStore
from bot.storage.models import PendingVersion, VectorCollection
from bot.storage.schema import facts, stories, story_keys, story_links
from bot.text.shingles import containment, contains_sentence, shingles, sketch

RESCUE = "How many members of the crew of the Ostrava Star were taken off by helicopter?"


def publish(library: ArticleStore, *articles: Article, retired: tuple[str, ...] = ()) -> None:
    numbers = library.next_versions(article.id for article in articles)
    drafts = [
        PendingVersion(
            article, numbers[article.id], tuple(split_passages(article.id, numbers[article.id], article.text))
        )
        for article in articles
    ]
    library.publish(
        library.write(drafts), retired=retired, collection=VectorCollection("f1", "model", 3, "place-1")
    )


def told(library: ArticleStore) -> set[frozenset[str]]:
    """Return which articles carry one story."""
    StoryClusters(library).sync()
    with library.connect() as connection:
        rows = connection.execute(stories.select().where(stories.c.story.is_not(None))).all()
    return {
        frozenset(row.article_id for row in rows if row.story == story)
        for story in {row.story for row in rows}
    }


ALL = frozenset(article.id for article in OUTLETS)


# Which articles carry one story


def test_a_story_is_recognised_at_every_outlet_and_a_report_of_its_own_is_not(library: ArticleStore) -> None:
    publish(library, *OUTLETS, WITNESS)
    assert told(library) == {ALL}
    found = StoryClusters(library).clusters_of(["herald", "witness"])
    assert found.keys() == ALL
    assert len({carrier.story for carrier in found.values()}) == 1
    assert StoryClusters(library).clusters_of(["witness", "unknown"]) == {}


@pytest.mark.parametrize("order", [OUTLETS, OUTLETS[::-1]])
def test_outlets_may_come_one_after_another(library: ArticleStore, order: tuple[Article, ...]) -> None:
    for article in (*order, WITNESS):
        publish(library, article)
        StoryClusters(library).sync()
    assert told(library) == {ALL}


def test_a_correction_leaves_the_story_and_may_come_back(library: ArticleStore) -> None:
    publish(library, AGENCY, HERALD, MORNING)
    assert told(library) == {frozenset({"agency", "herald", "morning"})}
    publish(library, replace(HERALD, text=" ".join(OWN)))
    assert told(library) == {frozenset({"agency", "morning"})}
    publish(library, HERALD)
    assert told(library) == {frozenset({"agency", "herald", "morning"})}


def test_what_is_forgotten_leaves_no_trace(library: ArticleStore) -> None:
    publish(library, AGENCY, HERALD)
    told(library)
    publish(library, retired=("herald",))
    assert told(library) == set()
    with library.connect() as connection:
        for table, column in ((stories, "article_id"), (story_keys, "article_id"), (story_links, "other_id")):
            assert "herald" not in set(connection.scalars(table.select().with_only_columns(table.c[column])))


def test_a_bridge_that_goes_parts_the_story(library: ArticleStore) -> None:
    one, other = WIRE[:4], OWN[:4]
    ends = printed("Left", " ".join(one)), printed("Right", " ".join(other))
    publish(library, *ends, printed("Bridge", " ".join((*one, *other))))
    assert told(library) == {frozenset({"left", "right", "bridge"})}
    publish(library, retired=("bridge",))
    assert told(library) == set()


def test_an_older_library_is_caught_up_and_a_run_that_broke_off_begun_anew(library: ArticleStore) -> None:
    publish(library, AGENCY, HERALD)
    told(library)
    with library.transaction() as connection:
        connection.execute(delete(facts).where(facts.c.key == "stories"))
        connection.execute(story_links.insert().values(article_id="gone", other_id="herald"))
    assert told(library) == {frozenset({"agency", "herald"})}
    with library.connect() as connection:
        assert len(connection.execute(story_links.select()).all()) == 1


def test_one_outlet_s_columns_and_updates_are_no_copies_of_each_other(library: ArticleStore) -> None:
    update = replace(
        AGENCY, id="update", url="https://agency.example/2", text=AGENCY.text.replace("Tuesday", "Monday")
    )
    publish(library, AGENCY, update, replace(update, id="case", source=" AGENCY "))
    assert told(library) == set()


@pytest.mark.parametrize("text", ["", "Ship aground.", "One two three.", "No. " * 50])
def test_the_shortest_texts_make_no_story(library: ArticleStore, text: str) -> None:
    publish(library, *(printed(outlet, text or "-") for outlet in ("A", "B")))
    assert told(library) == set() or len(shingles(text)) >= 2


def test_a_round_up_is_no_copy_of_a_short_item_in_it(library: ArticleStore) -> None:
    rest = " ".join(
        f"Item number {n} tells of a wholly different matter in the town of N{n}." for n in range(80)
    )
    publish(library, printed("Agency", f"{CREW} {TUGS}"), printed("Daily", f"{CREW} {TUGS} {rest}"))
    assert told(library) == set()


def test_what_many_articles_share_is_kept_for_a_few(library: ArticleStore) -> None:
    many = [printed(f"Outlet{n}", f"{' '.join(WIRE)} Printed in town number {n}.") for n in range(70)]
    publish(library, *many)
    assert told(library) == {frozenset(article.id for article in many)}
    with library.connect() as connection:
        most = text("SELECT max(n) FROM (SELECT count(*) AS n FROM story_keys GROUP BY key) AS counted")
        assert connection.scalar(most) == 50


# What an answer makes of it


def ask(workspace: Services, question: str, **options: object) -> Answer:
    return (
        workspace.chain.invoke(question)
        if not options
        else workspace.chain.invoke({"question": question, **options})
    )


def search(workspace: Services, question: str, **options: object) -> list[Hit]:
    return workspace.retriever.search(question, **options)  # type: ignore[arg-type]


def sources(hits: list[Hit]) -> list[str]:
    return [hit.headline.source for hit in hits]


@pytest.fixture
def wired(workspace: Services, four: list[Article]) -> Services:
    take_in(workspace, [*four, *OUTLETS[::-1], WITNESS])
    return workspace


def test_an_answer_cites_one_outlet_and_names_the_others(wired: Services) -> None:
    answer = ask(wired, RESCUE)
    assert answer.status == "answered"
    assert CREW in answer.text
    first = answer.citations[0]
    assert first.source == "Agency"  # published first of those that came in together
    assert {copy.source for copy in first.copies} == {"Herald", "Morning", "Vellmarer", "Courier"}
    wire = {citation.source for citation in answer.citations} & {article.source for article in OUTLETS}
    assert wire == {"Agency"}


def test_no_two_outlets_of_the_story_are_hits_of_the_same_words(wired: Services) -> None:
    for question in (RESCUE, "What did the tugs from Karsund try?", "What did the owner of the ship say?"):
        hits = [hit for hit in search(wired, question) if hit.headline.source != "Witness"]
        said = [(hit, one) for hit in hits for one in WIRE if one in hit.passage.text]
        assert len({one for _, one in said}) == len(said)
        for hit in hits:
            article = wired.articles.article(hit.passage.article_id)
            assert article
            assert article.text[hit.passage.start : hit.passage.end] == hit.passage.text


def test_what_only_one_outlet_adds_is_found_and_cited_from_it(wired: Services) -> None:
    answer = ask(wired, "Which school in Lower Vellmar opened its gymnasium to the stranded sailors?")
    assert answer.status == "answered"
    assert answer.text == LOCAL
    assert [(citation.source, citation.copies) for citation in answer.citations] == [("Vellmarer", ())]


def test_a_report_of_its_own_stays_an_origin_of_its_own(wired: Services) -> None:
    hits = search(wired, "Who watched rescuers winch sailors off the Ostrava Star from the pier?")
    [own] = [hit for hit in hits if hit.headline.source == "Witness"]
    assert own.copies == ()
    assert all(copy.source != "Witness" for hit in hits for copy in hit.copies)


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("All 23 members", "All 32 members"),
        ("and none was hurt", "and nobody says who was hurt"),
        ("and none was hurt", "and several were hurt"),
        ("the Ostrava Star", "the Moravia Star"),
    ],
)
def test_an_outlet_that_says_otherwise_is_not_named_beside_it(
    workspace: Services, said: str, instead: str
) -> None:
    other = printed("Other", " ".join(WIRE).replace(said, instead))
    take_in(workspace, [AGENCY, HERALD, other])
    hits = search(workspace, RESCUE)
    [agency] = [hit for hit in hits if hit.headline.source == "Agency" and CREW in hit.passage.text]
    assert "Herald" in [copy.source for copy in agency.copies]
    citations = ask(workspace, RESCUE).citations
    assert all(
        copy.source != "Other" for citation in citations if said in citation.quote for copy in citation.copies
    )
    [apart] = [hit for hit in hits if hit.headline.source == "Other"]
    assert instead in apart.passage.text
    assert TUGS not in apart.passage.text  # which the agency says as well


def test_a_copy_that_came_later_cannot_take_an_article_s_place(workspace: Services) -> None:
    take_in(workspace, [AGENCY])
    with workspace.articles.transaction() as connection:
        connection.execute(text("UPDATE stories SET since = '2024-05-14T09:00:00+00:00'"))
    tuned = f"{RESCUE} {' '.join(WIRE)}"
    take_in(workspace, [printed("Copycat", tuned, day="2001-01-01", title=RESCUE)])
    answer = ask(workspace, RESCUE)
    assert answer.citations[0].source == "Agency"
    assert [copy.source for copy in answer.citations[0].copies] == ["Copycat"]
    assert CREW in answer.text


def test_an_old_article_that_becomes_a_copy_is_a_newcomer_and_a_correction_is_none(
    workspace: Services,
) -> None:
    other = printed("Copycat", " ".join(OWN), day="2001-01-01")
    take_in(workspace, [AGENCY, other])
    with workspace.articles.transaction() as connection:
        for outlet, year in (("copycat", 2001), ("agency", 2024)):
            connection.execute(
                text(f"UPDATE stories SET since = '{year}-05-14T09:00:00' WHERE article_id = '{outlet}'")
            )
    corrected = replace(AGENCY, text=AGENCY.text.replace("nine days", "eight days"))
    take_in(workspace, [corrected, replace(other, text=" ".join(WIRE))])
    found = StoryClusters(workspace.articles).clusters_of(["agency"])
    assert found["agency"].since == "2024-05-14T09"
    assert found["copycat"].since > "2024-05-14T09"
    assert ask(workspace, RESCUE).citations[0].source == "Agency"


def test_only_outlets_that_may_be_searched_are_cited_and_named(wired: Services) -> None:
    hits = search(wired, RESCUE, filters=SearchFilters(sources=("Herald", "courier")))
    assert set(sources(hits)) <= {"Herald", "Courier"}
    assert hits[0].headline.source == "Herald"
    assert {copy.source for hit in hits for copy in hit.copies} <= {"Courier"}


def test_a_story_of_which_one_article_is_left_is_an_article_like_any(wired: Services) -> None:
    take_in(wired, [])
    with wired.index_writer() as indexer:
        indexer.publish(retired=[article.id for article in OUTLETS[1:]])
    [agency] = [hit for hit in search(wired, RESCUE) if CREW in hit.passage.text]
    assert (agency.headline.source, agency.copies) == ("Agency", ())


def test_another_machine_reads_what_the_writer_found(wired: Services, tmp_path: Path) -> None:
    from conftest import WordEmbedder

    other = Services(wired.settings, embedder=WordEmbedder())
    assert sources(search(other, RESCUE))[0] == "Agency"
    other.close()


# Shingles

words = st.lists(st.sampled_from("a b c d e f g h 1 2 x y z".split()), max_size=60)  # noqa: SIM905


@given(one=words, other=words)
def test_containment_is_the_share_of_the_shorter_text(one: list[str], other: list[str]) -> None:
    runs = [{tuple(text[at : at + 3]) for at in range(len(text) - 2)} for text in (one, other)]
    shorter = min(map(len, runs))
    expected = len(runs[0] & runs[1]) / shorter if shorter else 0.0
    assert containment(shingles(" ".join(one)), shingles(" ".join(other))) == pytest.approx(expected)


@given(words=st.lists(st.text(min_size=1, max_size=5), max_size=80))
def test_a_sketch_is_a_small_part_of_the_shingles_that_sql_can_hold(words: list[str]) -> None:
    hashes = shingles(" ".join(words))
    keys = sketch(hashes)
    assert {*keys} <= {int(one) >> 1 for one in hashes}
    assert len(keys) == len({*keys}) <= 40
    assert all(0 <= key < 2**63 for key in keys)


def test_sketches_are_the_same_on_every_machine_and_in_every_version() -> None:
    assert sketch(shingles("The cat sat, on the MAT."))[:2] == sketch(shingles("the cat sat on the mat"))[:2]
    assert sketch(shingles("the cat sat on the mat")) == STORED


STORED = [1947224790820828156, 5177837086067693189, 7031628876521854369, 9162767251226445339]


@given(before=st.lists(st.sampled_from(WIRE)), at=st.sampled_from(WIRE), after=st.lists(st.sampled_from(OWN)))
def test_a_text_holds_its_sentences(before: list[str], at: str, after: list[str]) -> None:
    assert contains_sentence(" ".join((*before, at, *after)), at)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (CREW, True),
        (f"KARSUND, May 15 (AP) — {CREW}", True),
        (CREW.replace("were taken", "had been taken"), True),
        (CREW.replace("23", "24"), False),
        (CREW.replace("none was", "three were"), False),
        (CREW.replace("Ostrava", "Morava"), False),
        (CREW.replace("were taken", "were not taken"), False),
        ("Sailors were winched off one after another by rescuers.", False),
        ("Read more", True),  # says nothing
    ],
)
def test_a_word_may_differ_but_no_number_name_or_denial(sentence: str, expected: bool) -> None:
    assert contains_sentence(AGENCY.text, sentence) is expected


def test_made_outlets_are_what_they_are_meant_to_be() -> None:
    assert all(CREW in article.text for article in (AGENCY, HERALD, COURIER, MORNING, LOCALS))
    assert make({"text": "x"}).source == ""
