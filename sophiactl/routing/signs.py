"""Words that say what kind of work a prompt asks for, grouped; English, because the benchmarks are."""

from __future__ import annotations

_GROUPS: dict[str, str] = {
    "quantifier": """
        all any both each either every few half many most much neither none several some total whole exactly least
        only twice double triple maximum minimum average sum number""",
    "negation": """
        not no never nor none neither without except cannot can't don't doesn't isn't aren't won't wasn't weren't didn't
        false incorrect wrong unless fail fails exclude excluding impossible""",
    "condition": """
        if unless when whenever suppose assume assuming given provided let otherwise whether would until while case""",
    "comparison": """
        than compare comparison compared versus vs between difference differ different differs similar same unlike
        better worse best worst greater less fewer larger smaller higher lower older younger taller ratio relative
        contrast distinguish faster slower""",
    "reasoning": """
        prove proof derive deduce infer explain why justify analyze analyse analysis evaluate assess calculate compute
        determine solve find simplify estimate optimize optimise argue interpret examine show verify debug reason
        because therefore thus hence implies conclude conclusion""",
    "making": """
        write create design implement build develop generate draft compose plan propose produce construct program
        refactor rewrite translate summarize summarise edit outline code function script story essay poem email""",
    "recall": """
        who whom whose where define definition name list called known famous capital born author film movie song album
        album's wrote played located""",
    "constraint": """
        must should exactly required requires ensure constraint constraints subject limit format following avoid include
        including contain contains valid output input return returns least most integer satisfy satisfies""",
    "time": """
        day days week weeks month months year years hour hours minute minutes second seconds morning today tomorrow
        yesterday before after then later first next finally last already once again per rate""",
    "person": """
        i you he she they we me him her them us my your his their our mine himself herself""",
    "law and policy": """
        law legal court contract statute liability plaintiff defendant state federal constitutional policy regulation
        ethical moral morally tax clause agreement rights duty guilty""",
    "connective": """
        and or but however although though also moreover furthermore instead which that who""",
}


def _by_word() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for number, words in enumerate(_GROUPS.values()):
        for word in words.split():
            found[word] = (*found.get(word, ()), number)
    return found


GROUP_NAMES: tuple[str, ...] = tuple(_GROUPS)
GROUPS_OF_WORD: dict[str, tuple[int, ...]] = _by_word()
