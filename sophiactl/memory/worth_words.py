"""Words that raise or lower the worth of a text, grouped by what they say.

Plain lists from general knowledge of conversations and of business records, in English with the commonest words of a
few other languages where a group is about form (greetings, times, numbers). A word may stand in several groups.
"""

from __future__ import annotations

_GROUPS: dict[str, str] = {
    "courtesy": """
        hi hello hey heya hiya yo morning evening goodnight night bye goodbye cya ttyl welcome cheers thanks thank thx
        ty tysm please pls plz sorry congrats congratulations yes yeah yea yep yup ya ye yas yess no nope nah ok okay
        okey okie k kk alright sure right true exactly indeed absolutely definitely totally agreed agree oh ooh ah aah
        aw aww awe hm hmm mm mhm uh um umm uhh er huh wow whoa woah yay yikes oops ouch ugh phew lol lmao lmfao rofl
        haha hahaha hahahaha hehe hehehe xd omg omfg wtf gosh jeez geez damn nice cool great awesome amazing wonderful
        lovely fantastic perfect good fine neat sweet fun beautiful gorgeous super brilliant incredible impressive
        cute lit dope sick same too well so really very anyway anyways btw tho idk ikr imo tbh rn u ur luck enjoy hope
        hear hearing sounds sound glad happy proud excited care talk chat soon later wish best appreciate support
        gonna wanna gotta just like know mean guess think see
        bro dude bruh fr ngl smh nvm ofc obvi np yw gn gm hbu wbu wyd sup yoo heyy welp nah oof yup
        hallo moin servus tschüss danke bitte ja nein genau gut toll prima super schön alles klar salut bonjour bonsoir
        merci oui non d'accord ouais bien sûr hola gracias sí vale bueno claro adiós ciao grazie sì prego bene obrigado
        obrigada sim olá tchau hoi dank dag nee hej tack tak takk nej привет спасибо да нет хорошо пока ок ага""",
    "function": """
        a an the and or but if of to in on at for from with by as about into over after before than then that this
        these those there here it its it's is are was were be been being am do does did doing done have has had having
        will would can could should may might must shall not don't didn't doesn't isn't aren't wasn't can't won't i'm
        you're he's she's we're they're i've you've we've i'll you'll we'll i'd you'd that's there's what's let's
        im dont cant ive ill youre thats whats got get gets getting go going went come came some any all every each
        more most much many lot lots very too also just only even still again back up down out off away around through
        what who whom whose which when where why how because while i me my mine myself you your yours yourself he him
        his she her hers we us our ours they them their theirs""",
    "self": "i i'm im i've ive i'd i'll ill me my mine myself we we're we've we'd we'll us our ours ich wir je nous yo",
    "addressee": "you you're youre you've you'd you'll your yours yourself u ur ya y'all yall",
    "possession": "my our mine ours mein meine unser unsere mon ma mes notre nos mi mis nuestro nuestra",
    "others": """
        he he's he'd he'll him his she she's she'd she'll her hers they they're they've they'd they'll them their theirs
        guy guys girl boy man woman people someone somebody everyone everybody""",
    "vague": """
        it it's its that that's thats this these those thing things stuff something anything everything nothing here
        there way kind sort bit lot lots whatever etc one ones""",
    "asking": "what what's whats who who's whose when where where's why how how's which wonder wondering",
    "hedge": """
        maybe perhaps probably possibly might could guess suppose seem seems dunno idk unsure hopefully somehow kinda
        sorta whatever if""",
    "time": """
        today tonight tomorrow tmrw tmr yesterday monday tuesday wednesday thursday friday saturday sunday mon tue tues
        wed thu thur thurs fri sat january february march april june july august september october november december
        jan feb mar apr jun jul aug sep sept oct nov dec spring summer autumn winter weekend weekends weekday week weeks
        month months year years yr yrs day days hour hours hrs minute minutes mins decade decades century morning
        afternoon evening midnight noon ago since until till during recently lately last next annual annually daily
        weekly monthly yearly quarter quarterly q1 q2 q3 q4 christmas xmas easter thanksgiving halloween birthday
        anniversary holiday holidays vacation deadline due eod eow
        heute morgen gestern montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar märz mai juni
        juli oktober dezember woche monat jahr stunde stunden uhr seit letzte letzten nächste nächsten
        aujourd'hui demain hier lundi mardi mercredi jeudi vendredi samedi dimanche janvier février mars avril juin
        juillet août septembre octobre novembre décembre semaine mois année ans heure heures depuis
        hoy mañana ayer lunes martes miércoles jueves viernes sábado domingo enero febrero marzo abril mayo junio julio
        agosto septiembre octubre noviembre diciembre semana mes año años hora horas desde""",
    "number": """
        two three four five six seven eight nine ten eleven twelve thirteen fifteen sixteen eighteen twenty thirty forty
        fifty sixty seventy eighty ninety hundred hundreds thousand thousands million billion dozen dozens couple few
        several half quarter third double twice first second third fourth fifth once percent dollars dollar bucks euros
        euro pounds cents
        zwei drei vier fünf sechs sieben acht neun zehn hundert tausend million deux trois quatre cinq sept huit neuf
        dix vingt cent mille dos tres cuatro cinco seis siete ocho nueve diez cien mil""",
    "kin": """
        mom mum mother mama dad father papa parents parent brother brothers sister sisters sibling siblings son sons
        daughter daughters kid kids child children baby babies wife husband spouse partner fiance fiancé fiancee
        girlfriend boyfriend gf bf ex grandma grandpa grandmother grandfather grandparents granddaughter grandson aunt
        uncle cousin cousins niece nephew family friend friends roommate roommates flatmate neighbor neighbors neighbour
        colleague colleagues coworker coworkers boss manager teacher professor doctor therapist coach mentor dog dogs
        puppy cat cats kitten pet pets""",
    "event": """
        was were had did went got made took came saw met found gave told said started began bought sold moved visited
        lost won finished graduated married divorced engaged born died passed left joined quit retired hired fired
        promoted built wrote read watched played cooked baked painted learned learnt studied taught worked lived grew
        travelled traveled flew drove hiked ran walked swam camped attended hosted organized organised volunteered
        adopted signed decided agreed applied received earned saved spent broke fell hurt fixed repaired created
        designed launched released published performed recorded planted raised donated helped called texted tried
        happened used became ate drank slept chose sent shipped closed approved rejected cancelled canceled renewed
        upgraded migrated deployed missed changed increased reduced dropped""",
    "standing": """
        am i'm im i've ive have has own live lives living work works working study studying teach teaches run runs play
        plays speak speaks believe prefer usually always never often every each""",
    "plan": """
        will i'll ill we'll going gonna plan plans planning planned want wants wanted wanna need needs needed hoping
        hope hopes intend decide decided deciding thinking considering scheduled schedule goal goals dream dreams aim
        looking signing starting applying saving next""",
    "taste": """
        love loves loved like likes liked enjoy enjoys enjoyed hate hates hated prefer prefers preferred favorite
        favourite favorites favourites fave fav fan obsessed allergic dislike adore passion passionate interested into
        hobby hobbies recommend recommended""",
    "reason": """
        because cause cuz coz since therefore reason reasons why due so that's result resulted inspired motivated
        thanks inspires reminds reminded realized realised weil denn parce porque""",
    "life": """
        job jobs work office career company business startup store shop school college university uni degree class
        classes course exam exams thesis project projects team club group church gym house home apartment flat city town
        country village state beach mountain mountains lake river park forest island restaurant cafe bar hotel airport
        flight trip travel tour concert festival party wedding funeral museum theater theatre cinema hospital surgery
        clinic accident injury illness diagnosed diagnosis cancer pain medicine medication therapy diet allergy
        car bike bicycle train bus plane boat road camping hiking climbing running swimming surfing skiing yoga dance
        dancing soccer football basketball tennis baseball golf game games gaming video movie movies film films show
        series season episode book books novel author poem poetry music song songs album band guitar piano violin
        drums art painting paintings photo photos photography camera drawing pottery craft sewing knitting garden
        gardening flowers cooking baking recipe recipes food dinner lunch breakfast pizza pasta sushi cake cookies
        bread soup salad chicken fish coffee tea wine beer chocolate money rent loan mortgage salary savings budget
        price cost invoice contract renewal customer client meeting call demo proposal quote order payment refund ticket
        bug release version server database api account password address phone email name names nickname age size
        color colour language languages religion anime manga comics podcast podcasts netflix youtube spotify playlist
        marathon race workout pilates boxing volleyball hockey cricket rugby badminton kayaking sailing fishing chess
        puzzle puzzles karaoke choir orchestra ballet comedy lecture seminar lab research internship intern shift resume
        interview interviews visa passport dorm lease landlord furniture laundry groceries grocery market mall gift
        gifts present jewelry tattoo haircut dentist vaccine migraine insomnia anxiety depression vegan vegetarian ramen
        tacos burger burgers steak curry noodles rice sandwich smoothie matcha cocktail whiskey""",
    "decision": """
        decided decision agreed agreement approved approval deadline owner owns assigned action blocker blocked risk
        renewal renew churn competitor pricing price discount budget contract signed requirement requirements must
        policy rule always never steps procedure root cause fix fixed workaround resolved resolution incident outage
        migrate rollback beschlossen vereinbart genehmigt frist vertrag rechnung kunde""",
}

GROUP_NAMES: tuple[str, ...] = tuple(_GROUPS)


def _by_word() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for number, words in enumerate(_GROUPS.values()):
        for word in dict.fromkeys(words.split()):
            found[word] = (*found.get(word, ()), number)
    return found


GROUPS_OF_WORD: dict[str, tuple[int, ...]] = _by_word()
