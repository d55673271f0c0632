"""A worked sum in each known language, and how their words are told and counted."""

import unicodedata

import pytest
from r1trl_language import language_consistency
from r1trl_language.scripts import LANGUAGES, NAMES
from r1trl_language.words import counts, detect

SUMS = {
    "ar": (
        "اشترى سامي 3 تفاحات ثم اشترى 4 تفاحات أخرى. "
        "نجمع العددين لنعرف عدد التفاحات كلها. "
        "إذن 3 + 4 = 7، والجواب هو سبع تفاحات."
    ),
    "bg": (
        "Мария има 3 ябълки и купува още 4 ябълки. "
        "Събираме двете числа, за да намерим общия брой. "
        "Значи 3 + 4 = 7 и отговорът е седем ябълки."
    ),
    "bn": (
        "রহিমের কাছে 3টি আপেল আছে এবং সে আরও 4টি আপেল কিনল। "
        "মোট সংখ্যা জানতে আমরা দুটি সংখ্যা যোগ করি। "
        "তাই 3 + 4 = 7, উত্তর হলো সাতটি আপেল।"
    ),
    "cs": (
        "Jana má 3 jablka a koupí si ještě 4 další jablka. "
        "Obě čísla sečteme, abychom zjistili celkový počet. "
        "Takže 3 + 4 = 7 a odpověď je sedm jablek."
    ),
    "da": (
        "Mette har 3 æbler og køber 4 æbler mere i butikken. "
        "Vi lægger de to tal sammen for at finde det samlede antal. "
        "Altså er 3 + 4 = 7, og svaret er syv æbler."
    ),
    "de": (
        "Anna hat 3 Äpfel und kauft noch 4 Äpfel dazu. "
        "Wir addieren die beiden Zahlen, um die Gesamtzahl zu finden. "
        "Also ist 3 + 4 = 7, und die Antwort lautet sieben Äpfel."
    ),
    "el": (
        "Η Μαρία έχει 3 μήλα και αγοράζει άλλα 4 μήλα. "
        "Προσθέτουμε τους δύο αριθμούς για να βρούμε το σύνολο. "
        "Άρα 3 + 4 = 7 και η απάντηση είναι επτά μήλα."
    ),
    "en": (
        "Anna has 3 apples and buys 4 more apples. "
        "We add the two numbers to find the total. "
        "So 3 + 4 = 7, and the answer is seven apples."
    ),
    "es": (
        "Ana tiene 3 manzanas y compra otras 4 manzanas. "
        "Sumamos los dos números para hallar el total. "
        "Entonces 3 + 4 = 7, y la respuesta es siete manzanas."
    ),
    "fa": (
        "مریم 3 سیب دارد و 4 سیب دیگر می‌خرد. "
        "دو عدد را با هم جمع می‌کنیم تا تعداد کل را پیدا کنیم. "
        "پس 3 + 4 = 7 و پاسخ هفت سیب است."
    ),
    "fi": (
        "Annalla on 3 omenaa ja hän ostaa vielä 4 omenaa lisää. "
        "Laskemme luvut yhteen, jotta saamme omenoiden määrän. "
        "Siis 3 + 4 = 7, ja vastaus on seitsemän omenaa."
    ),
    "fr": (
        "Anne a 3 pommes et elle achète encore 4 pommes. "
        "On additionne les deux nombres pour trouver le total. "
        "Donc 3 + 4 = 7, et la réponse est sept pommes."
    ),
    "gu": (
        "રમેશ પાસે 3 સફરજન છે અને તે 4 સફરજન ખરીદે છે. "
        "કુલ સંખ્યા જાણવા આપણે બંને સંખ્યાનો સરવાળો કરીએ. "
        "તેથી 3 + 4 = 7, જવાબ સાત સફરજન છે."
    ),
    "he": (
        "לדנה יש 3 תפוחים והיא קונה עוד 4 תפוחים. "
        "נחבר את שני המספרים כדי למצוא את הסכום הכולל. "
        "לכן 3 + 4 = 7, והתשובה היא שבעה תפוחים."
    ),
    "hi": (
        "राम के पास 3 सेब हैं और वह 4 सेब और खरीदता है। "
        "कुल संख्या जानने के लिए हम दोनों संख्याओं को जोड़ते हैं। "
        "इसलिए 3 + 4 = 7 और उत्तर सात सेब है।"
    ),
    "hu": (
        "Annának 3 almája van, és vesz még 4 almát a boltban. "
        "Összeadjuk a két számot, hogy megkapjuk az almák számát. "
        "Tehát 3 + 4 = 7, és a válasz hét alma."
    ),
    "hy": (
        "Աննան ունի 3 խնձոր և գնում է ևս 4 խնձոր։ "
        "Գումարում ենք երկու թվերը՝ ընդհանուր քանակը գտնելու համար։ "
        "Ուրեմն 3 + 4 = 7, պատասխանը յոթ խնձոր է։"
    ),
    "id": (
        "Ani mempunyai 3 apel dan membeli 4 apel lagi. "
        "Kita menjumlahkan kedua bilangan untuk mendapatkan jumlah seluruhnya. "
        "Jadi 3 + 4 = 7, dan jawabannya adalah tujuh apel."
    ),
    "it": (
        "Anna ha 3 mele e compra altre 4 mele. "
        "Sommiamo i due numeri per trovare il totale. "
        "Quindi 3 + 4 = 7, e la risposta è sette mele."
    ),
    "ja": (
        "花子さんはりんごを3個持っていて、さらに4個買いました。"
        "全部の数を求めるために、二つの数を足します。"
        "したがって3 + 4 = 7なので、答えは七個です。"
    ),
    "ka": (
        "ანას აქვს 3 ვაშლი და ყიდულობს კიდევ 4 ვაშლს. "
        "ვკრებთ ორ რიცხვს, რომ ვიპოვოთ საერთო რაოდენობა. "
        "ამიტომ 3 + 4 = 7, პასუხია შვიდი ვაშლი."
    ),
    "kn": (
        "ರಾಮನ ಬಳಿ 3 ಸೇಬುಗಳಿವೆ ಮತ್ತು ಅವನು ಇನ್ನೂ 4 ಸೇಬುಗಳನ್ನು ಕೊಂಡನು. "
        "ಒಟ್ಟು ತಿಳಿಯಲು ಎರಡೂ ಸಂಖ್ಯೆಗಳನ್ನು ಕೂಡಿಸುತ್ತೇವೆ. "
        "ಆದ್ದರಿಂದ 3 + 4 = 7, ಉತ್ತರ ಏಳು ಸೇಬುಗಳು."
    ),
    "ko": (
        "민수는 사과를 3개 가지고 있고 4개를 더 샀습니다. "
        "전체 개수를 구하려면 두 수를 더하면 됩니다. "
        "따라서 3 + 4 = 7이고 답은 사과 일곱 개입니다."
    ),
    "ml": (
        "രാമുവിന് 3 ആപ്പിൾ ഉണ്ട്, അവൻ 4 ആപ്പിൾ കൂടി വാങ്ങി. "
        "ആകെ എണ്ണം അറിയാൻ രണ്ട് സംഖ്യകളും കൂട്ടുന്നു. "
        "അതിനാൽ 3 + 4 = 7, ഉത്തരം ഏഴ് ആപ്പിൾ."
    ),
    "nl": (
        "Anna heeft 3 appels en koopt er nog 4 appels bij. "
        "We tellen de twee getallen bij elkaar op om het totaal te vinden. "
        "Dus 3 + 4 = 7, en het antwoord is zeven appels."
    ),
    "no": (
        "Anna har 3 epler og kjøper 4 epler til i butikken. "
        "Vi legger sammen de to tallene for å finne hvor mange det blir. "
        "Altså er 3 + 4 = 7, og svaret er sju epler."
    ),
    "pa": (
        "ਰਾਮ ਕੋਲ 3 ਸੇਬ ਹਨ ਅਤੇ ਉਹ 4 ਸੇਬ ਹੋਰ ਖਰੀਦਦਾ ਹੈ। "
        "ਕੁੱਲ ਗਿਣਤੀ ਜਾਣਨ ਲਈ ਅਸੀਂ ਦੋਵੇਂ ਸੰਖਿਆਵਾਂ ਜੋੜਦੇ ਹਾਂ। "
        "ਇਸ ਲਈ 3 + 4 = 7, ਜਵਾਬ ਸੱਤ ਸੇਬ ਹੈ।"
    ),
    "pl": (
        "Ania ma 3 jabłka i kupuje jeszcze 4 jabłka. "
        "Dodajemy obie liczby, aby znaleźć łączną liczbę jabłek. "
        "Zatem 3 + 4 = 7, a odpowiedź to siedem jabłek."
    ),
    "pt": (
        "A Ana tem 3 maçãs e compra mais 4 maçãs. "
        "Somamos os dois números para encontrar o total. "
        "Então 3 + 4 = 7, e a resposta é sete maçãs."
    ),
    "ro": (
        "Ana are 3 mere și mai cumpără încă 4 mere. "
        "Adunăm cele două numere pentru a afla totalul. "
        "Deci 3 + 4 = 7, iar răspunsul este șapte mere."
    ),
    "ru": (
        "У Маши 3 яблока, и она покупает ещё 4 яблока. "
        "Сложим два числа, чтобы найти общее количество. "
        "Значит, 3 + 4 = 7, и ответ: семь яблок."
    ),
    "sv": (
        "Anna har 3 äpplen och köper 4 äpplen till. "
        "Vi lägger ihop de två talen för att få fram hur många det blir. "
        "Alltså är 3 + 4 = 7, och svaret är sju äpplen."
    ),
    "sw": (
        "Juma ana matufaha 3 na ananunua matufaha mengine 4 sokoni. "
        "Tunajumlisha namba hizo mbili ili kupata jumla yake. "
        "Kwa hiyo 3 + 4 = 7, na jibu ni matufaha saba."
    ),
    "ta": (
        "ராமுவிடம் 3 ஆப்பிள்கள் உள்ளன, அவன் மேலும் 4 ஆப்பிள்கள் வாங்குகிறான். "
        "மொத்தத்தை அறிய இரண்டு எண்களையும் கூட்டுகிறோம். "
        "எனவே 3 + 4 = 7, விடை ஏழு ஆப்பிள்கள்."
    ),
    "te": (
        "రాము దగ్గర 3 ఆపిల్ పండ్లు ఉన్నాయి, అతను మరో 4 కొన్నాడు. "
        "మొత్తం తెలుసుకోవడానికి రెండు సంఖ్యలను కలుపుతాము. "
        "కాబట్టి 3 + 4 = 7, సమాధానం ఏడు ఆపిల్ పండ్లు."
    ),
    "th": (
        "มานีมีแอปเปิล 3 ผลและซื้อเพิ่มอีก 4 ผล เราบวกจำนวนทั้งสองเข้าด้วยกันเพื่อหาผลรวม "
        "ดังนั้น 3 + 4 = 7 คำตอบคือเจ็ดผล"
    ),
    "tr": (
        "Ayşe'nin 3 elması var ve 4 elma daha alıyor. "
        "Toplam sayıyı bulmak için iki sayıyı topluyoruz. "
        "Yani 3 + 4 = 7 olur ve cevap yedi elmadır."
    ),
    "uk": (
        "У Оленки є 3 яблука, і вона купує ще 4 яблука. "
        "Додаємо обидва числа, щоб знайти загальну кількість. "
        "Отже, 3 + 4 = 7, і відповідь: сім яблук."
    ),
    "ur": (
        "احمد کے پاس 3 سیب ہیں اور وہ 4 سیب اور خریدتا ہے۔ "
        "کل تعداد معلوم کرنے کے لیے ہم دونوں عددوں کو جمع کرتے ہیں۔ "
        "اس لیے 3 + 4 = 7 اور جواب سات سیب ہے۔"
    ),
    "vi": (
        "Lan có 3 quả táo và mua thêm 4 quả táo nữa. "
        "Ta cộng hai số lại để tìm tổng số táo. "
        "Vậy 3 + 4 = 7, và đáp án là bảy quả táo."
    ),
    "zh": (
        "小明有3个苹果，又买了4个苹果。"
        "我们把两个数相加，就得到总数。"
        "所以3 + 4 = 7，答案是七个苹果。"
    ),
}
ENGLISH = " We add the two numbers and get seven."


def test_every_known_language_has_a_sum_and_a_script():
    assert SUMS.keys() == NAMES.keys() and len(NAMES) >= 20
    assert set(NAMES) == {"zh"}.union(*LANGUAGES.values())


@pytest.mark.parametrize("language", SUMS)
def test_a_worked_sum_is_in_its_language_alone(language):
    assert set(counts(SUMS[language])) == {language}
    assert set(counts(unicodedata.normalize("NFD", SUMS[language]))) == {language}
    assert detect(SUMS[language]) == language


@pytest.mark.parametrize("language", SUMS)
def test_thinking_counts_by_the_language_of_its_question(language):
    thought, own = SUMS[language], [{"question": [SUMS[language]]}, {"language": [language]}]
    for columns in own:
        assert language_consistency(["1+1"], [thought], [[]], **columns) == [1.0]
    for other in {"en", "zh", "fr", "pt", "ru", "ja"} - {language}:
        assert language_consistency(["1+1"], [thought], [[]], language=[other]) == [0.0]
        assert language_consistency([SUMS[other]], [thought], [[]]) == [0.0]


@pytest.mark.parametrize("language", sorted(SUMS.keys() - {"en"}))
def test_a_sentence_in_english_takes_its_share_of_the_words(language):
    thought, words = SUMS[language] + ENGLISH, counts(SUMS[language]).total()
    assert counts(thought) == {language: words, "en": 8}
    assert language_consistency(["1"], [thought], [[]], language=[language]) == [
        words / (words + 8)
    ]
    assert language_consistency(["1"], [thought], [[]], language=["en"]) == [8 / (words + 8)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("किताब में कितने पन्ने हैं", {"hi": 5}),  # vowel signs belong to words
        ("كِتَابٌ فِيهِ مِئَةُ صَفْحَةٍ", {"ar": 4}),  # so do vowel marks
        ("كتابها می‌خوانند را همه می‌شود", {"fa": 5}),  # and joiners
        ("ดังนั้นคำตอบคือเจ็ด", {"th": 4}),  # five letters to a word
        ("이 두 수를 더하면 된다", {"ko": 5}),
        ("花子さんは林檎を三個持っていて、さらに四個買いました", {"ja": 5}),  # phrases
        ("テストの点数を全部足すと百点になります", {"ja": 4}),
        ("ﾃｽﾄの点数を全部足すと百点になります", {"ja": 4}),
        ("그럼 삼 더하기 사는 칠", {"ko": 5}),
        ("答案是七", {"zh": 4}),
        ("Cạnh huyền của tam giác vuông", {"vi": 6}),
        ("Ayşe'nin elmaları dört tane daha fazladır", {"tr": 6}),
    ],
)
def test_words_are_counted_as_the_language_counts_them(text, words):
    assert counts(text) == words


@pytest.mark.parametrize(
    ("question", "thought"),
    [
        ("三角形の面積はいくつですか", "三角形の面積は十です"),  # three phrases each
        (SUMS["ja"], "答えは七個です。"),
        (SUMS["fr"], "Oui, donc sept."),
        (SUMS["ru"], "Это семь."),
        (SUMS["ko"], "답은 일곱."),
        (SUMS["hi"], "उत्तर सात है"),
        ("Combien font 3 + 4 ?", SUMS["fr"]),
        ("Wie viel ist 3 + 4?", SUMS["de"]),
        ("Сколько будет 3 + 4?", SUMS["ru"]),
    ],
)
def test_fewer_than_four_words_abstain(question, thought):
    assert language_consistency([question], [thought], [[]]) == [None]


def test_a_probability_below_nine_tenths_abstains():
    thought = "En blyant koster 3 kroner."  # Danish as well as Norwegian
    assert counts(thought) == {"latin": 4}
    for language in ("da", "no"):
        assert language_consistency(["Q"], [thought], [[]], language=[language]) == [None]


def test_short_sentences_are_in_the_language_of_the_others():
    thought = "Oui. " + SUMS["fr"] + " Alors, sept. Total : 7."
    assert counts(thought) == {"fr": counts(SUMS["fr"]).total() + 4}
    thought = SUMS["ja"] + "合計七個。" + "正解。"
    assert set(counts(thought)) == {"ja"}
    assert counts("よって。" + SUMS["zh"] + "合計。")["zh"] == counts(SUMS["zh"] + "合計")["zh"]


def test_a_chinese_sentence_among_japanese_is_chinese():
    chinese = "我们把两个数相加就得到总数。"
    assert counts(SUMS["ja"] + chinese) == counts(SUMS["ja"]) + counts(chinese)


def test_words_that_cannot_be_told_count_against_every_language_but_those_of_their_script():
    def scored(language):
        return language_consistency(["Q"], ["Это 七加四 Это"], [[]], language=[language])

    assert [scored(language) for language in ("zh", "ru", "uk", "en")] == [
        [0.6],
        [0.0],
        [0.0],
        [0.0],
    ]
    assert language_consistency(["Q"], ["Это"], [[]], language=["ru"]) == [None]
