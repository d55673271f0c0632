"""LeetCode's own classes, as the comment above its starter code gives them."""


class ListNode:
    """A node of a linked list."""

    def __init__(self, val: object = 0, next: object = None) -> None:
        self.val, self.next = val, next


class TreeNode:
    """A node of a binary tree."""

    def __init__(self, val: object = 0, left: object = None, right: object = None) -> None:
        self.val, self.left, self.right = val, left, right
