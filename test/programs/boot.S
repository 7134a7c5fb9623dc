# A guest in a boot sector: reads block 1 of its disk by the BIOS, says it on the serial port, writes it to block 2, and ends QEMU by
# isa-debug-exit: with status 3, or 5 where the disk failed.
        .code16
        .globl _start
_start: xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x7c00, %sp
        mov     %dl, drive
        mov     $0x4200, %ax            # read
        call    disk
        mov     $0x8000, %si
        call    print
        movl    $2, packet + 8
        mov     $0x4300, %ax            # write
        call    disk
        mov     $written, %si
        call    print
        mov     $1, %al
end:    mov     $0xf4, %dx
        outb    %al, %dx
        hlt

disk:   mov     $packet, %si
        mov     drive, %dl
        int     $0x13
        jc      fail
        ret
fail:   mov     $failed, %si
        call    print
        mov     $2, %al
        jmp     end

print:  mov     $0x3f8, %dx
1:      lodsb
        test    %al, %al
        jz      2f
        outb    %al, %dx
        jmp     1b
2:      ret

written: .asciz "written\n"
failed:  .asciz "failed\n"
drive:  .byte   0
        .align  4
packet: .byte   16, 0                   # of the BIOS's extensions: one block, to 0:8000, from block 1
        .word   1, 0x8000, 0
        .quad   1
        .org    510
        .word   0xaa55
