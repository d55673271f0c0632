"""The texts of the variants, in English and Chinese."""

PARAPHRASES = {
    "en": (
        "Answer the following question.",
        "Please work out the answer to this question.",
        "Here is a question. Give its answer.",
        "Solve the problem below.",
        "Find the answer to the following.",
        "I need the answer to this question.",
        "Read the question and answer it.",
        "Could you tell me the answer to this?",
        "Think about the question below and reply with the answer.",
        "Consider the following problem and solve it.",
        "Determine the answer to the question that follows.",
        "Take your time and answer this question.",
    ),
    "zh": (
        "请回答下面的问题。",
        "请算出这个问题的答案。",
        "这里有一个问题，请给出答案。",
        "请解答下面的题目。",
        "求下面问题的答案。",
        "我需要知道这个问题的答案。",
        "请阅读问题并作答。",
        "你能告诉我这个问题的答案吗？",
        "请思考下面的问题，然后给出答案。",
        "请考虑并解决下面的问题。",
        "请确定下面问题的答案。",
        "不用着急，请回答这个问题。",
    ),
}
BOXED = {
    "en": "Please reason step by step, and put your final answer within \\boxed{}.",
    "zh": "请逐步推理，并把最终答案放在 \\boxed{} 中。",
}
# In the language of the question: in which language to answer.
ANSWER_IN = {
    "en": {"en": "Answer in English.", "zh": "Answer in Chinese."},
    "zh": {"en": "请用英文回答。", "zh": "请用中文回答。"},
}
ROLE_PLAY = {
    "en": "You are a patient teacher and I am your pupil. In class I raise my hand and ask: {}",
    "zh": "你是一位耐心的老师，我是你的学生。课堂上我举手问：{}",
}
SYSTEM = "You are a helpful assistant."
QUESTION_AND_ANSWER = {"en": ("Question: ", "Answer: "), "zh": ("问题：", "回答：")}
# Worked examples: a question, the reasoning, the answer.
EXAMPLES = {
    "en": (
        ("What is three plus four?", "Three plus four is seven.", "7"),
        (
            "What is nine minus two plus one?",
            "Nine minus two is seven, plus one is eight.",
            "8",
        ),
        ("What is six plus six?", "Six plus six is twelve.", "12"),
    ),
    "zh": (
        ("三加四等于多少？", "三加四等于七。", "7"),
        ("九减二加一等于多少？", "九减二等于七。七加一等于八。", "8"),
        ("六加六等于多少？", "六加六等于十二。", "12"),
    ),
}
ANSWERS = {"plain": "{}", "tag": "<answer>{}</answer>", "boxed": "\\boxed{{{}}}"}
REASONED = "<think>\n{}\n</think>\n{}"
# Words that a misspelling may turn into other numbers.
NUMBER_WORDS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred thousand million billion half third quarter plus minus times".split()
)
NUMBER_CHARACTERS = frozenset("零〇一二两三四五六七八九十百千万亿半加减乘除负")
